// Contrast as WCAG 2.2 defines it (1.4.3, AA): text against what is painted behind it.
// Returns what is too pale, as words.
() => {
  const parse = (text) => { const v = text.match(/[\d.]+/g).map(Number); return v.length < 4 ? [...v, 1] : v; };
  const over = (top, under) => top.slice(0, 3).map((v, k) => v * top[3] + under[k] * (1 - top[3]));
  const light = (c) => c.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  // What lies behind an element; pictures may be anything, so black and white are both tried.
  const behind = (element, picture) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      layers.push(c);
      if (c[3] === 1) break;
      if (e.closest('#gallery button') === e) { layers.push([...picture, 1]); break; }
    }
    return layers.reverse().reduce((under, c) => over(c, under), [255, 255, 255]);
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !e.checkVisibility({ visibilityProperty: true })) continue;
    if (e.closest('button:disabled, script, style, option, .skip')) continue;
    const style = getComputedStyle(e), size = parseFloat(style.fontSize);
    let opacity = 1;
    for (let p = e; p; p = p.parentElement) opacity *= Number(getComputedStyle(p).opacity);
    const need = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    for (const picture of [[255, 255, 255], [0, 0, 0]]) {
      const ground = behind(e, picture), ink = parse(style.color);
      const value = ratio(over([...ink.slice(0, 3), ink[3] * opacity], ground), ground);
      if (value < need) found.push([value.toFixed(2), e.tagName, e.id || e.className, e.textContent.trim().slice(0, 30)].join(' '));
    }
  }
  // Parts that are no text need 3 (1.4.11): field borders, the ring of the focus.
  const root = getComputedStyle(document.documentElement), paper = parse(getComputedStyle(document.body).backgroundColor);
  const probe = document.body.appendChild(document.createElement('i'));
  for (const name of ['--accent', '--ok', '--field']) {
    probe.style.color = root.getPropertyValue(name);
    const value = ratio(parse(getComputedStyle(probe).color).slice(0, 3), paper.slice(0, 3));
    if (!(value >= 3)) found.push(`${value} ${name}`);
  }
  probe.remove();
  return [...new Set(found)];
}
