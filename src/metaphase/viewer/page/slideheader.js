// What the page shows of a slide as a whole: its name, facts, warnings and assigned reader.

const $ = (id) => document.getElementById(id);

/** Show a slide; its list of labels to compare with is offered where it has one. */
export function showSlide(slide) {
  document.title = `${slide.name} · metaphase review`;
  $("slide-name").textContent = slide.name;
  $("slide-facts").textContent = [`${slide.width_px} × ${slide.height_px} px`, `${slide.mpp.toFixed(4)} µm/px`, slide.model, ...slide.notes].filter(Boolean).join(" · ");
  const audit = slide.candidates === 0 && slide.labels > 0; // labels beside detections
  $("show-ref-line").hidden = !audit;
  $("which-differ").hidden = $("which-differ").disabled = !audit;
  $("which").value = audit ? "differ" : "open"; // with labels, what differs from them comes first
  $("warnings").hidden = !slide.warnings.length;
  $("warnings-list").replaceChildren(...slide.warnings.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  $("assigned").value = slide.assigned;
  for (const button of $("slide-list").querySelectorAll("button")) button.setAttribute("aria-current", button.dataset.slug === slide.slug);
}
