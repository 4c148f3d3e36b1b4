"""Images from Dockerfiles: parser, cache, files of the context, RUN in our own runtime."""
