"""Pictures of the README: detections on the bundled sample, and the review page.

    python -m studies.pictures docs/images

Runs detection with the bundled model on the sample (BreCaHAD, CC BY 4.0) and opens the page in
Chromium. Run it again after another model was bundled, or the page has changed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

FIELD = "Case_10-05"
WIDTH_PX = 1100
PAGE_PX = (1440, 960)
FLAGS = ["--no-sandbox", "--disable-gpu"]


def metaphase(*words: str) -> list[str]:
    return [sys.executable, "-m", "metaphase", *words]


def save_small(source: Path, target: Path) -> None:
    """Save a picture as a JPEG of limited width."""
    with Image.open(source) as image:
        size = WIDTH_PX, round(image.height * WIDTH_PX / image.width)
        image.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(target, quality=85)


def page_picture(work: Path, target: Path) -> None:
    """Save a screenshot of the review page with the sample."""
    from playwright.sync_api import sync_playwright

    words = ("view", "sample/images", "--detections", "found", "--no-browser", "--port", "0")
    command = metaphase(*words, "--mpp", "0.25", "--store", str(work / "review.sqlite"))
    server = subprocess.Popen(
        command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert server.stdout is not None
        address = next(
            found.group() for line in server.stdout if (found := re.search(r"http://\S+", line))
        )
        with sync_playwright() as playwright:
            chromium = shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            width, height = PAGE_PX
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(address, timeout=120_000)
            page.wait_for_selector("#gallery button")
            page.keyboard.press("n")  # the first figure
            page.wait_for_timeout(15_000)
            page.screenshot(path=str(work / "page.png"))
            browser.close()
    finally:
        server.terminate()
        server.wait()
    save_small(work / "page.png", target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the pictures")
    out = parser.parse_args().out.absolute()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for words in (
            ("sample", "--out", "sample"),
            ("detect", "--labels", "sample", "--out", "found"),
        ):
            subprocess.run(metaphase(*words), cwd=work, check=True)
        save_small(work / "found" / FIELD / "overlay.png", out / "sample-detections.jpg")
        page_picture(work, out / "review-page.jpg")


if __name__ == "__main__":
    main()
