// What the page shows of a slide as a whole: its name, facts, warnings and assigned reader.

const $ = (id) => document.getElementById(id);

/** Show a slide. Where it is compared and figures differ, those are listed first. */
export function showSlide(slide, comparison) {
  document.title = `${slide.name} · metaphase review`;
  $("slide-name").textContent = slide.name;
  $("slide-facts").textContent = [`${slide.width_px} × ${slide.height_px} px`, `${slide.mpp.toFixed(4)} µm/px`, slide.model, ...slide.notes].filter(Boolean).join(" · ");
  const shown = new Map(slide.references.map((r) => [r.key, r]));
  $("show-ref-line").hidden = !shown.has("labels");
  $("show-second-line").hidden = !shown.has("second");
  $("second-name").textContent = shown.get("second")?.name ?? "";
  $("which").value = comparison && comparison.tally.first + comparison.tally.second ? "differ" : "open";
  $("warnings").hidden = !slide.warnings.length;
  $("warnings-list").replaceChildren(...slide.warnings.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  $("assigned").value = slide.assigned;
  for (const button of $("slide-list").querySelectorAll("button")) button.setAttribute("aria-current", button.dataset.slug === slide.slug);
}
