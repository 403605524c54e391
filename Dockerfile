# A server without TensorFlow: Python, Opsin's core and what it takes to answer over HTTP.
#   docker build -t opsin-serve .
#   docker run -p 8501:8501 -v "$PWD/runs/flowers/model:/models/flowers:ro" -e OPSIN_SERVE_API_KEY=... opsin-serve
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN python -m venv /opt/opsin && /opt/opsin/bin/pip install --no-cache-dir '.[serve]'

FROM python:3.12-slim
COPY --from=build /opt/opsin /opt/opsin
RUN useradd --system --no-create-home opsin
USER opsin
# The engine notes of `opsin benchmark` would be kept here; there is nothing to keep in a container.
ENV OPSIN_CACHE=/tmp/opsin PYTHONUNBUFFERED=1 OPSIN_SERVE_HOST=0.0.0.0 OPSIN_SERVE_PORT=8501
EXPOSE 8501
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["/opt/opsin/bin/python", "-c", \
  "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/readyz', timeout=2)"]
# Another address than this machine's own needs OPSIN_SERVE_API_KEY, or OPSIN_SERVE_NO_AUTH=1 behind a proxy that asks.
ENTRYPOINT ["/opt/opsin/bin/opsin", "serve"]
CMD ["/models/flowers"]
