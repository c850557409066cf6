<?php
// What a receiver does by the rules of the documents that print no code: its own, no line of ours.
function verify(string $layout, string $body, string $signature, string $secret): bool
{
    if ($layout === 'stamped') {
        parse_str(strtr($signature, ',', '&'), $parts);
        $expected = hash_hmac('sha256', $parts['t'] . '.' . $body, $secret);
        return abs(time() - (int) $parts['t']) < 300 && hash_equals($expected, $parts['v1']);
    }
    $prefix = $layout === 'prefixed' ? 'sha256=' : '';
    return hash_equals($prefix . hash_hmac('sha256', $body, $secret), $signature);
}
