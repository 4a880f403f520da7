"""A network whose requests are counted: for those who ask the limiter once, and then send several."""

from collections.abc import Callable

import msgspec

from connectors.answers import retry_after
from connectors.base import Connector, Request, Response, Send
from connectors.guarded import Guarded
from connectors.limits import Limiter, Rank


def metered(
    send: Send, connector: Connector, limiter: Limiter, clock: Callable[[], int], rank: Rank = "capture"
) -> Send:
    """The same network; what a request costs, and what its answer tells of quotas and room, is known to the limiter."""
    guarded = Guarded(connector)

    def sent(request: Request) -> Response:
        limiter.spend(clock(), rank, guarded.price(request))
        response = send(request)
        limiter.hear(guarded.usage(response), clock())
        pressure = guarded.pressure(response)
        if pressure is not None:
            after = pressure.after or retry_after(response)
            limiter.press(msgspec.structs.replace(pressure, after=after), clock())
        return response

    return sent
