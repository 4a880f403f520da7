# Renkei's services. The command is the one to run: capture, streams, connectors NAME, topics, sandbox.
FROM python:3.11-slim AS built
WORKDIR /source
# The tools that build, from the lock with hashes; nothing of it comes into the image.
COPY requirements.lock ./
RUN python -m venv /tools \
 && /tools/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY deploy/requirements.lock ./deploy/
RUN python -m venv /renkei \
 && /renkei/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r deploy/requirements.lock
COPY pyproject.toml README.md ./
COPY schemas schemas
COPY rules rules
COPY streams streams
COPY connectors connectors
COPY sandbox sandbox
COPY renkei renkei
RUN /tools/bin/python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /renkei/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps /wheels/*.whl

FROM python:3.11-slim
RUN useradd --system --uid 10001 --user-group --no-create-home renkei \
 && install -d -o renkei -g renkei /state
COPY --from=built /renkei /renkei
ENV PATH=/renkei/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUTF8=1
USER renkei
WORKDIR /project
VOLUME /state
EXPOSE 9464
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9464/readyz', timeout=4)"]
ENTRYPOINT ["renkei"]
CMD ["--help"]
