"""Every route that belongs to no slice: pages, projects for programs, streams, static files, health and metrics."""

from typing import Any

from fc.web.api_page import api_page
from fc.web.badge import badge
from fc.web.build_pages import build_page
from fc.web.builder_page import builders_page
from fc.web.configuration_pages import configuration_page, source_page, sources_page
from fc.web.evaluation_page import evaluation_page
from fc.web.event_route import events
from fc.web.health import health
from fc.web.log_pages import log_page, log_stream, step_log_page, step_log_stream
from fc.web.metrics import metrics
from fc.web.notification_page import notifications_page
from fc.web.overview_page import overview
from fc.web.preview_page import preview_page
from fc.web.project_api import get_changes, get_jobset, get_overview, get_project, get_projects
from fc.web.project_pages import jobset_page, project_page
from fc.web.resource_pages import resource_page, resources_page
from fc.web.revision_page import revision_page
from fc.web.static_route import favicon, static_file

ROUTES: list[Any] = [
    overview,
    project_page,
    jobset_page,
    badge,
    evaluation_page,
    build_page,
    log_page,
    step_log_page,
    log_stream,
    step_log_stream,
    builders_page,
    configuration_page,
    sources_page,
    source_page,
    revision_page,
    resources_page,
    resource_page,
    preview_page,
    notifications_page,
    api_page,
    get_overview,
    get_projects,
    get_project,
    get_jobset,
    get_changes,
    events,
    static_file,
    favicon,
    health,
    metrics,
]
"""What the application serves of these."""
