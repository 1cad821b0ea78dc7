# What tests/image/build has staged in `root/`: the program, the libraries it needs, CA certificates. No shell, nothing else.
FROM scratch
COPY root/ /
USER 65532:65532
EXPOSE 9443/tcp 8080/tcp
LABEL org.opencontainers.image.title="flamewarden" \
      org.opencontainers.image.description="Keeps untrusted FLAME analyses contained in Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/flamewarden"]
