"""A node's status as OpenMetrics: names with their units of measure, no key and no id of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokaido.node._extra import web
from tokaido.node.tls import names_of

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
    from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
    from prometheus_client.registry import CollectorRegistry
except ImportError as error:
    raise ImportError("metrics need prometheus-client: pip install 'tokaido[node]'") from error

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from tokaido.node.operation._status import AlarmLine, NodeStatus

LEVELS: Final = ("fine", "degraded", "not serving")
GAUGES: Final = frozenset({"stored", "leased"})
"""Counters of a link that fall, too."""
Sample = tuple[tuple[str, ...], float | None]

__all__ = ["metrics_application", "openmetrics"]


class _Status:
    """A collector of one status."""

    def __init__(self, status: NodeStatus) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        status = self._status
        yield InfoMetricFamily("tokaido_node", "The node", {"node": status.node, "status_version": str(status.version)})
        yield _gauge("tokaido_node_up_seconds", "For how long it has run", (), [((), status.up_s)], unit="seconds")
        yield _gauge(
            "tokaido_node_level",
            "1 for the level that holds",
            ("level",),
            [((level,), float(level == status.level)) for level in LEVELS],
        )
        yield _gauge("tokaido_node_draining", "1 while it ends", (), [((), float(status.draining))])
        yield _gauge("tokaido_node_emulation", "1 if it takes keys of emulators", (), [((), float(status.emulation))])
        yield _gauge("tokaido_store_open", "1 while the key store is open", (), [((), float(status.store.open))])
        yield _counter("tokaido_store_restarts", "Failures of the key store", (), [((), float(status.store.restarts))])
        yield from self._links()
        yield from self._pairs()
        yield _gauge(
            "tokaido_neighbour_up",
            "1 if it answered what it was asked last",
            ("neighbour",),
            [((one.name,), float(one.up)) for one in status.neighbours],
        )
        yield _gauge(
            "tokaido_neighbour_silent_seconds",
            "For how long nothing was heard of it",
            ("neighbour",),
            [((one.name,), one.silent_s) for one in status.neighbours],
            unit="seconds",
        )
        answered = [((link.device,), link.answered_s) for link in status.links]
        answered += [((device.name,), device.answered_s) for device in status.devices]
        yield _gauge(
            "tokaido_device_answer_age_seconds", "Since it answered last", ("device",), answered, unit="seconds"
        )
        yield _gauge(
            "tokaido_alarm",
            "1 for each alarm that stands",
            ("code", "of", "severity", "acknowledged", "cause"),
            [
                ((alarm.code, alarm.of, alarm.severity, "yes" if alarm.acknowledged_by else "no", _cause(alarm)), 1.0)
                for alarm in status.alarms
            ],
        )

    def _links(self) -> Iterator[Metric]:
        links, names = self._status.links, ("link", "neighbour")
        for name, text, unit, value in (
            ("running", "1 while its unit here exchanges keys", "", lambda link: float(link.running)),
            ("drawing", "1 while blocks are drawn", "", lambda link: float(link.drawing)),
            ("qber_ratio", "Error rate of the last block", "ratio", lambda link: link.qber),
            ("secret_key_rate_bits_per_second", "Of the last blocks", "", lambda link: link.secret_key_rate),
            ("authentication_key_bits", "Authentication key that is left", "bits", lambda one: one.authentication_bits),
            (
                "preshared_key_age_seconds",
                "Age of the oldest pre-shared key of its unit, at least",
                "seconds",
                lambda link: link.preshared_key_age_s,
            ),
            ("stock_bits", "Link key in the store", "bits", lambda link: float(link.stock_bits)),
            ("reserve_seconds", "How long it lasts at the demand of late", "seconds", lambda link: link.reserve_s),
            ("block_age_seconds", "Since the last block came", "seconds", lambda link: link.since_block_s),
            ("attempts_within_hour", "Attempts of the last hour", "", lambda link: float(link.attempts_within_an_hour)),
            (
                "availability_ratio",
                "Part of all time but maintenance in which it gave keys",
                "ratio",
                lambda one: one.availability,
            ),
            ("failures_in_a_row", "Failures in a row", "", lambda link: float(link.failures)),
        ):
            samples: list[Sample] = [((link.name, link.neighbour), value(link)) for link in links]
            yield _gauge(f"tokaido_link_{name}", text, names, samples, unit=unit)
        yield _counter(
            "tokaido_link_service_seconds",
            "For how long it gave keys, gave none, or was maintained",
            (*names, "service"),
            [
                ((link.name, link.neighbour, service), seconds)
                for link in links
                for service, seconds in (
                    ("up", link.up_s),
                    ("down", link.down_s),
                    ("maintenance", link.maintenance_s),
                )
            ],
            unit="seconds",
        )
        yield _counter(
            "tokaido_link_key_bits",
            "What became of link key",
            (*names, "fate"),
            [
                ((link.name, link.neighbour, fate), float(bits))
                for link in links
                for fate, bits in link.counters.items()
                if fate not in GAUGES
            ],
            unit="bits",
        )

    def _pairs(self) -> Iterator[Metric]:
        pairs = self._status.pairs
        for name, text, unit, value in (
            ("ready_keys", "Keys of 256 bit that can be supplied", "keys", lambda pair: float(pair.ready)),
            ("target_keys", "Keys that are to be ready", "keys", lambda pair: float(pair.target)),
            ("in_flight_keys", "Keys that are being relayed", "keys", lambda pair: float(pair.in_flight)),
            ("held_keys", "Keys in stock for the other node", "keys", lambda pair: float(pair.held)),
            ("demand_keys_per_second", "Keys that were asked for lately", "", lambda pair: pair.demand),
            ("reserve_seconds", "How long they last at that demand", "seconds", lambda pair: pair.reserve_s),
        ):
            samples: list[Sample] = [((pair.neighbour,), value(pair)) for pair in pairs]
            yield _gauge(f"tokaido_pair_{name}", text, ("neighbour",), samples, unit=unit)
        yield _counter(
            "tokaido_pair_keys",
            "What became of keys of 256 bit",
            ("neighbour", "fate"),
            [((pair.neighbour, fate), float(keys)) for pair in pairs for fate, keys in pair.counters.items()],
            unit="keys",
        )


def openmetrics(status: NodeStatus) -> bytes:
    """Return the text of a scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Status(status))
    write: Callable[[CollectorRegistry], bytes] = generate_latest  # which has no types of its own
    return write(registry)


def metrics_application(status: Callable[[], NodeStatus], readers: Collection[str] | None) -> web.Application:
    """Return what answers `GET /metrics`.

    Args:
        status: Returns the node's status.
        readers: Names of the certificates that may read; None where the socket itself says who may.
    """

    async def answer(request: web.Request) -> web.Response:
        if readers is not None:
            transport = request.transport
            names = names_of(None if transport is None else transport.get_extra_info("ssl_object"))
            if not ({names.node, names.sae} - {None}) & set(readers):
                raise web.HTTPForbidden(text="this certificate may not read metrics")
        return web.Response(body=openmetrics(status()), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.router.add_get("/metrics", answer)
    return application


def _cause(alarm: AlarmLine) -> str:
    """Return the alarm that one follows from: empty for a cause."""
    return f"{alarm.cause} of {alarm.cause_of or 'the node'}" if alarm.cause else ""


def _gauge(name: str, text: str, labels: tuple[str, ...], samples: Iterable[Sample], *, unit: str = "") -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels, unit=unit)
    for values, value in samples:
        if value is not None:
            family.add_metric(values, value)
    return family


def _counter(name: str, text: str, labels: tuple[str, ...], samples: Iterable[Sample], *, unit: str = "") -> Metric:
    family = CounterMetricFamily(name, text, labels=labels, unit=unit)
    for values, value in samples:
        if value is not None:
            family.add_metric(values, value)
    return family
