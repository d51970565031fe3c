"""The review page: tiles of a pyramidal slide and 100,000 figures in Chromium, with targets.

A synthetic slide, the server in a separate process, requests one after the other and 200 at once;
then the page in the system's Chromium (headless, without GPU), controlled by Playwright. Without
Chromium only the tiles are measured. ``python -m benchmarks.viewer`` runs this alone.
"""

from __future__ import annotations

import http.client
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import tifffile
from numpy.typing import NDArray

from metaphase.detectionfile import save_detections
from metaphase.figures import Detections
from metaphase.provenance import Parameters, Provenance, ValidationCounts

WIDTH, HEIGHT, MPP = 30_000, 20_000, 0.25
FIGURES, TILE_PX = 100_000, 512
TILES, AT_ONCE, THREADS = 200, 200, 32
TILE_MS, READY_S, FRAME_MS = 60.0, 2.0, 1000 / 30
CHROMIUM = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run")
_PAN_S = 4

Row = tuple[str, str, str, str]

_PAN = """async (seconds) => {
  const { viewer } = metaphase, times = [];
  const slide = metaphase.state.slide, tall = slide.height_px / slide.width_px;
  const began = performance.now();
  for (let last = 0; ;) {
    const now = await new Promise(requestAnimationFrame);
    if (last) times.push(now - last);
    last = now;
    const turn = (now - began) / 900;
    if (now - began > seconds * 1000) break;
    const x = 0.5 + 0.12 * Math.cos(turn), y = tall * (0.5 + 0.12 * Math.sin(turn));
    viewer.viewport.panTo(new OpenSeadragon.Point(x, y), true);
  }
  return { times, draws: metaphase.overlay.frames.slice(-times.length) };
}"""


def rows(width: int = WIDTH, height: int = HEIGHT, figures: int = FIGURES) -> Iterator[Row]:
    with TemporaryDirectory() as folder:
        prepare(Path(folder), width, height, figures)
        with serving(Path(folder)) as url:
            yield from _tiles(url, width, height)
            yield from _page(url, figures)


def prepare(folder: Path, width: int, height: int, figures: int) -> None:
    """Write a slide and figures all over it, in clusters and alone."""
    rng = np.random.default_rng(0)
    _write_slide(folder / "slide.tiff", width, height, rng)
    size = np.array([width, height])
    centres = rng.uniform(0.2, 0.8, (40, 2)) * size
    near = centres[rng.integers(0, 40, figures // 2)]
    near = near + rng.normal(0, width / 40, near.shape)
    points = np.concatenate([near, rng.uniform(0, 1, (figures - len(near), 2)) * size])
    points = points.clip(0, size - 1)
    counts = ValidationCounts(threshold=0.5, tp=800, fp=200, fn=250)
    made = Provenance(
        "slide.tiff",
        width,
        height,
        MPP,
        model="made up",
        threshold=0.5,
        parameters=Parameters(validation=counts),
    )
    scores = rng.beta(2, 2, len(points))
    found = Detections(points[:, 0], points[:, 1], scores, provenance=made)
    save_detections(found, folder / "found" / "slide")


def _write_slide(path: Path, width: int, height: int, rng: np.random.Generator) -> None:
    """Write three levels of JPEG tiles; a few tiles of made-up texture come again and again."""
    kinds = [_texture(rng) for _ in range(16)]
    resolution = 1e4 / MPP
    with tifffile.TiffWriter(path, bigtiff=True) as out:
        for level, down in enumerate((1, 4, 16)):
            shape = height // down, width // down, 3
            tiles = -(-shape[0] // TILE_PX) * -(-shape[1] // TILE_PX)
            out.write(
                (kinds[k] for k in rng.integers(0, len(kinds), tiles)),
                shape=shape, dtype=np.uint8, tile=(TILE_PX, TILE_PX), photometric="rgb",
                compression="jpeg", subfiletype=int(level > 0),
                resolution=(resolution / down, resolution / down), resolutionunit="CENTIMETER",
            )  # fmt: skip


def _texture(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a tile that costs about as much to decode as tissue: pink ground, dark dots."""
    grain = rng.normal(0, 9, (TILE_PX, TILE_PX, 1))
    pixels = np.array([225.0, 160.0, 195.0]) + grain
    y, x = np.mgrid[:TILE_PX, :TILE_PX]
    for cx, cy in rng.uniform(0, TILE_PX, (60, 2)):
        pixels[(x - cx) ** 2 + (y - cy) ** 2 < 120] = (110.0, 60.0, 140.0)
    return pixels.clip(0, 255).astype(np.uint8)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run ``metaphase view`` and give its address."""
    command = [sys.executable, "-m", "metaphase", "view", str(folder), "--no-browser"]
    store = ["--store", str(folder / "review.sqlite"), "--port", "0", "--mpp", str(MPP)]
    server = subprocess.Popen(
        [*command, *store], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert server.stdout is not None
    try:
        url = server.stdout.readline().strip()
        if not url:
            raise RuntimeError("metaphase view did not start; try it by hand")
        yield url
    finally:
        server.terminate()
        server.wait(30)
        server.stdout.close()


class Client:
    """One connection that carries the token."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        token = parts.query.removeprefix("token=")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._connection = http.client.HTTPConnection(parts.netloc, timeout=120)

    def get(self, path: str) -> bytes:
        """Return an answer's body. Raises RuntimeError for any but 200."""
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}")
        return body


def _tiles(url: str, width: int, height: int) -> Iterator[Row]:
    import json

    client = Client(url)
    (slide,) = json.loads(client.get("/api/slides"))
    slide_data = json.loads(client.get(f"/api/slides/{slide['slug']}"))
    places = _places(width, height, slide_data["levels"], TILES + AT_ONCE)
    paths = [f"/api/slides/{slide['slug']}/tiles/{z}/{x}/{y}" for z, x, y in places]
    client.get(paths[0])
    times = [_timed(client, path) for path in paths[1:TILES]]
    again = [_timed(client, path) for path in paths[1:TILES]]
    yield _row("tile, p50", statistics.median(times), TILE_MS, "ms")
    yield _row("tile, p95", _percentile(times, 95), TILE_MS, "ms")
    yield _row("tile seen before, p95", _percentile(again, 95), TILE_MS, "ms")
    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        clients = [Client(url) for _ in range(THREADS)]
        work = [pool.submit(_share, c, paths[TILES:][i::THREADS]) for i, c in enumerate(clients)]
        answered = sum(w.result() for w in work)
    seconds = time.perf_counter() - began
    yield f"{AT_ONCE} tiles at once", f"{answered} answered, {seconds:.2f} s", f"{AT_ONCE}", "-"


def _places(width: int, height: int, levels: int, n: int) -> list[tuple[int, int, int]]:
    """Return ``n`` tiles of the three finest levels, each once as far as there are so many."""
    every = [
        (levels - down, x, y)
        for down in range(3)
        for x in range(max(1, (width >> down) // TILE_PX))
        for y in range(max(1, (height >> down) // TILE_PX))
    ]
    order = np.random.default_rng(1).permutation(len(every))
    return [every[order[i % len(every)]] for i in range(n)]


def _share(client: Client, paths: list[str]) -> int:
    return sum(bool(client.get(path)) for path in paths)


def _timed(client: Client, path: str) -> float:
    began = time.perf_counter()
    client.get(path)
    return (time.perf_counter() - began) * 1000


def _page(url: str, figures: int) -> Iterator[Row]:
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        yield "page", "not measured: no Chromium or Playwright", "-", "-"
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM))
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        yield from _measured(page, url, figures)
        browser.close()


def _measured(page: Any, url: str, figures: int) -> Iterator[Row]:
    began = time.perf_counter()
    page.goto(url)
    page.wait_for_selector("#gallery button")
    ready = time.perf_counter() - began
    yield _row(f"page interactive, {figures:,} figures", ready, READY_S, "s")
    page.wait_for_function("() => !document.querySelector('#hot-count').matches('.old')")
    began = time.perf_counter()
    page.evaluate("() => { threshold.value = 0.4; threshold.dispatchEvent(new Event('input')); }")
    yield _row("threshold to count", (time.perf_counter() - began) * 1000, 100.0, "ms")
    # The number is marked as old from the change on, until the new one is there.
    page.wait_for_function("() => !document.querySelector('#hot-count').matches('.old')")
    yield _row("threshold to hotspot", time.perf_counter() - began, READY_S, "s")
    for name, zoom in (("whole slide in view", 1.0), ("zoomed in", 8.0)):
        page.evaluate(f"() => metaphase.viewer.viewport.zoomTo({zoom}, null, true)")
        page.wait_for_timeout(1500)
        times = page.evaluate(_PAN, _PAN_S)
        frame = _percentile(times["times"], 95)
        yield _row(f"frame while panning, {name}, p95", frame, FRAME_MS, "ms")
        yield _row(
            f"of it drawing figures, {name}, p95", _percentile(times["draws"], 95), 16.7, "ms"
        )


def _percentile(values: list[float], part: float) -> float:
    return float(np.percentile(values, part))


def _row(what: str, measured: float, target: float, unit: str) -> Row:
    text = f"{measured:.1f} {unit}" if unit == "ms" else f"{measured:.2f} {unit}"
    return what, text, f"target: {target:.3g} {unit}", f"{measured / target:.2f}"


if __name__ == "__main__":
    small = "--small" in sys.argv
    size = (6000, 5000, 5000) if small else (WIDTH, HEIGHT, FIGURES)
    for line in rows(*size):
        print("  ".join(line), flush=True)
