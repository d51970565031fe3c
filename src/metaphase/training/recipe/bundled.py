"""The bundled recipes, which commands take by name."""

from __future__ import annotations

from pathlib import Path

from metaphase.errors import RecipeError
from metaphase.files import read_text


def bundled_recipes() -> dict[str, Path]:
    """Return the paths of the bundled recipes by name: "compact", "demo", "exercise", ..."""
    package = Path(__file__).resolve().parents[2]
    # Inside an installed package; beside the sources of a checkout.
    folders = (package / "recipes", package.parents[1] / "recipes")
    return dict(sorted((p.stem, p) for folder in folders for p in folder.glob("*.toml")))


def bundled_recipe(name: str) -> Path:
    """Return the path of a bundled recipe. Raises RecipeError for an unknown name."""
    bundled = bundled_recipes()
    if name not in bundled:
        raise RecipeError.of(
            name, "no such recipe is bundled", way_out=f"one of {', '.join(bundled)}"
        )
    return bundled[name]


def recipe_path(recipe: str | Path) -> Path:
    """Return the path of a recipe that is given as a file or by the name of a bundled one.

    A file of that name comes first; a name with an ending or a folder is always a file.
    """
    path = Path(recipe)
    if path.exists() or path.suffix or len(path.parts) != 1:
        return path
    return bundled_recipe(path.name)


def summary_of(path: Path) -> str:
    """Return the first sentence of the comment at the top of a recipe."""
    lines = []
    for line in read_text(path).splitlines():
        if not line.startswith("# "):
            break
        lines.append(line.removeprefix("# "))
    return " ".join(lines).split(". ")[0].rstrip(".")
