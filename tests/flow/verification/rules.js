// What a receiver does by the rules of the documents that print no code: its own, no line of ours.
const crypto = require('crypto');

function verify(layout, body, signature, secret) {
  const signed = (text) => crypto.createHmac('sha256', secret).update(text).digest('hex');
  const equal = (one, other) =>
    one.length === other.length && crypto.timingSafeEqual(Buffer.from(one), Buffer.from(other));
  if (layout === 'stamped') {
    const parts = Object.fromEntries(signature.split(',').map((part) => part.split('=')));
    const isFresh = Math.abs(Date.now() / 1000 - Number(parts.t)) < 300;
    return isFresh && equal(parts.v1, signed(Buffer.concat([Buffer.from(`${parts.t}.`), body])));
  }
  const prefix = layout === 'prefixed' ? 'sha256=' : '';
  return equal(signature, prefix + signed(body));
}
