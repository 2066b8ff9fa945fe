# syntax=docker/dockerfile:1
# The worker alone, without a toolchain, as a user without rights. Settings come from the environment
# (KARBOR_RESTORE__SECTION__KEY) or from a mounted file named by --config.

FROM rust:1-bookworm AS build
WORKDIR /build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin karbor-restore-worker \
    && cp target/release/karbor-restore-worker /karbor-restore-worker

FROM debian:bookworm-slim
# Roots for TLS to brokers and databases with public certificates.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin karbor-restore
COPY --from=build /karbor-restore-worker /usr/local/bin/karbor-restore-worker
USER 10001
# Probes only: /healthz, /readyz and /metrics.
ENV KARBOR_RESTORE__HTTP__PROBE_LISTEN=0.0.0.0:8799
EXPOSE 8799
STOPSIGNAL SIGTERM
ENTRYPOINT ["karbor-restore-worker"]
CMD ["serve"]
