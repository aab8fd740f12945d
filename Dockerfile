# One binary and what it links, as an unprivileged user, and nothing else: no shell, no packages.
#
#   docker build -t tidegate --build-arg COMMIT=$(git rev-parse --short HEAD) .
#   docker run --rm tidegate init --service --backend app:3000 >tidegate.toml
#   docker run -v ./tidegate.toml:/etc/tidegate/tidegate.toml:ro -p 8080:8080 --stop-timeout 30 tidegate
#
# `app` is a container of the same network (`--network`); config/compose has both.

FROM rust:1.95-slim-bookworm AS build
# A command that fails before a pipe fails the build.
SHELL ["/bin/bash", "-eo", "pipefail", "-c"]
# make: jemalloc's own build.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates make
WORKDIR /src
COPY . .
# What `tidegate --version` says it was built from.
ARG COMMIT=unknown
RUN TIDEGATE_COMMIT=$COMMIT cargo build --release --locked
# The root of the final image: the binary without its line tables, the libraries it names, public
# authorities for backends that speak TLS, and where names are looked up (/etc/hosts before DNS).
RUN mkdir -p /image/etc/ssl/certs /image/usr/bin /run/tidegate /var/lib/tidegate \
 && strip -o /image/usr/bin/tidegate target/release/tidegate \
 && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
 && echo 'hosts: files dns' >/image/etc/nsswitch.conf \
 && ldd target/release/tidegate | grep -o '/[^ ]*' | xargs -I{} cp -L --parents {} /image

FROM scratch
COPY --from=build /image /
# Where the operator's socket is made: `docker exec CONTAINER tidegate status`.
COPY --from=build --chown=65532:65532 /run/tidegate /run/tidegate
# Where certificates are kept that are ordered (`[acme]`): mount a volume there.
COPY --from=build --chown=65532:65532 /var/lib/tidegate /var/lib/tidegate
USER 65532:65532
# So that `docker exec` and `kubectl exec` find it by its name.
ENV PATH=/usr/bin
# Asks the `[admin]` listener of the mounted configuration: have one.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/usr/bin/tidegate", "health"]
# SIGTERM drains; give it the 25 seconds of `drain.timeout` (`--stop-timeout 30`).
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tidegate"]
CMD ["run"]
