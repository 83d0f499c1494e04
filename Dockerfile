# Quintet with everything that it runs, and nothing that only its development needs.
# BASE: any Debian or Ubuntu whose python3 is 3.11 to 3.13. Where no registry can be reached, `make image` makes one.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
# where packages come from, if not from the usual index
ARG PIP_INDEX_URL PIP_FIND_LINKS PIP_NO_INDEX UV_DEFAULT_INDEX UV_FIND_LINKS UV_OFFLINE
ENV UV_LINK_MODE=copy UV_NO_CACHE=1 PIP_NO_CACHE_DIR=1
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends ca-certificates python3 python3-venv
WORKDIR /build
# the locked packages are a layer of their own, which a change of the code keeps
COPY requirements-build.lock requirements-run.lock ./
RUN python3 -m venv tools \
    && tools/bin/pip install -q --no-deps --require-hashes -r requirements-build.lock \
    && python3 -m venv --without-pip /opt/quintet \
    && tools/bin/uv pip install -q --python /opt/quintet --no-deps --require-hashes -r requirements-run.lock \
    && /opt/quintet/bin/python -m compileall -q -j 0 /opt/quintet/lib
COPY . .
RUN tools/bin/uv build -q --wheel --python tools/bin/python --no-build-isolation \
    && tools/bin/uv pip install -q --python /opt/quintet --no-deps dist/*.whl \
    && rm -f /opt/quintet/.lock \
    && /opt/quintet/bin/python -m compileall -q -j 0 /opt/quintet/lib

FROM ${BASE}
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends ca-certificates python3 tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin quintet \
    && install -d -o quintet -g quintet -m 0700 /data
COPY --from=build /opt/quintet /opt/quintet
ENV PATH=/opt/quintet/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    QUINTET_HOST=0.0.0.0 \
    QUINTET_HOME=/data \
    QUINTET_RAW=/data/raw
USER quintet
WORKDIR /data
VOLUME /data
EXPOSE 8000 3000 9464
ENTRYPOINT ["quintet"]
CMD ["serve"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["quintet", "health"]
