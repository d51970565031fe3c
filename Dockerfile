# metaphase for CPUs: detection, counting, evaluation and the review page. No network is needed at run time.
#
#   docker build -t metaphase .
#   docker run --rm --network none -v "$PWD:/data" metaphase detect /data/slide.svs --out /data/found
FROM python:3.12-slim AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
ARG EXTRAS=cluster,dicom
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir "$(ls /wheels/metaphase-*.whl)[${EXTRAS}]"
RUN useradd --create-home --uid 1000 metaphase
USER metaphase
WORKDIR /data
ENV PYTHONUNBUFFERED=1
ENTRYPOINT ["metaphase"]
CMD ["--help"]
