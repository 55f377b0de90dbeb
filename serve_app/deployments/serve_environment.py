"""What Serve reads from the environment only, in the processes of its own."""

from serve_app.deployments import proxy_pages

SERVE_ENVIRONMENT = {
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": proxy_pages.IMPORT_PATH,
    # A replica that fails its health checks is ended at once, so that its requests are run again
    # elsewhere. Else Serve waits until they are done: of one that stands still they never are.
    "RAY_SERVE_FORCE_STOP_UNHEALTHY_REPLICAS": "1",
}
