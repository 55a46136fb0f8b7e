"""Each request comes from an address of its own: what one address sends without a token is limited (core/src/burst.rs)."""

import itertools

import schemathesis

numbers = itertools.count(1)


@schemathesis.hook
def before_call(context, case, kwargs):
    number = next(numbers)
    case.headers["CF-Connecting-IP"] = f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::1"
