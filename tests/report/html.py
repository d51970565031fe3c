"""Reads a report: what it loads, links to, names and says, and whether its tags close."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """The ids, links, loaded addresses and words of a page."""

    VOID = ("meta", "link", "br", "img", "circle", "image", "rect")

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads, self.open, self.words = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        facts = dict(attrs)
        if "id" in facts:
            self.ids.append(facts["id"])
        if tag == "a":
            self.links.append(facts["href"])
        elif "src" in facts or "href" in facts:
            self.loads.append(facts.get("src") or facts.get("href"))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def page_of(path):
    """Return the page of a file; every tag must be closed."""
    page = Page(path.read_text(encoding="utf-8"))
    assert page.open == []
    return page
