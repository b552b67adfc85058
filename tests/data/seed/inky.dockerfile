FROM busybox
LABEL maintainer="support@mesosphere.io"

CMD ["inky"]
ENTRYPOINT ["echo"]
