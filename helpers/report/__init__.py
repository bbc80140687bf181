"""From results to something a person reads. Executing and checking notebooks is heavy: import those modules by name."""

from helpers.report.results import describe_data, read_results, write_results
from helpers.report.tracking import Tracked, store_uri

__all__ = ["Tracked", "describe_data", "read_results", "store_uri", "write_results"]
