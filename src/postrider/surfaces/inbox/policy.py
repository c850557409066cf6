"""What a browser may do with each kind of answer: headers only, no logic.

Nothing comes from foreign hosts but the pictures of a mail whose reader has asked for them.
"""

from postrider.surfaces.common.frame import closed_policy, open_policy

PRIVATE = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

PAGE = {
    **PRIVATE,
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
}

STATIC = {
    "Cache-Control": "public, max-age=31536000, immutable",  # addresses carry the content's hash
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

DOWNLOAD = {**PRIVATE, "Content-Security-Policy": "sandbox; default-src 'none'"}

FRAME = {
    **PRIVATE,
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Security-Policy": closed_policy(framed_by="'self'"),
}
FRAME_WITH_IMAGES = {**FRAME, "Content-Security-Policy": open_policy(framed_by="'self'")}
