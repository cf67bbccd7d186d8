"""OpenMetrics as prometheus_client's strict parser reads it."""

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families


def read_openmetrics(text: str) -> list[Metric]:
    """Raises ValueError for what is no OpenMetrics."""
    return list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
