"""The model of resources made anew of the circuit as it is: `lamforge study resources`."""

from reports.studies.resources.study import Off, ResourcesRequest, ResourceStudy, run

__all__ = ["Off", "ResourceStudy", "ResourcesRequest", "run"]
