#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's web shop: pages, a style sheet and drawn pictures, written into a folder. Same input, same bytes.

    shop_site.py FOLDER
"""
import math
import os
import random
import struct
import sys
import zlib

HOST = "shop.example"
WIDTH, HEIGHT = 320, 240
DOWNLOAD_BYTES = 2_000_000

# slug, name, price, text, (background, object), outline
PRODUCTS = [
    ("mug", "Harbour mug", 18, "Stoneware, 35 cl, thrown and glazed in one morning.", ((214, 226, 230), (52, 92, 110)), "cup"),
    ("lamp", "Pier lamp", 94, "Spun aluminium and a linen shade. Warm, never bright.", ((236, 224, 205), (196, 122, 58)), "lamp"),
    ("bowl", "Tide bowl", 42, "Wide enough for salad, shallow enough for fruit.", ((222, 230, 218), (88, 128, 98)), "bowl"),
    ("vase", "Gull vase", 57, "One stem is plenty. Two begin to argue.", ((230, 222, 230), (122, 92, 128)), "vase"),
    ("clock", "Buoy clock", 73, "Keeps time by radio, and quiet by felt.", ((218, 222, 236), (70, 84, 140)), "ring"),
    ("plate", "Sound plate", 26, "Oven, table, dishwasher: forty times around.", ((238, 230, 214), (168, 140, 84)), "plate"),
    ("candle", "Mooring candle", 15, "Burns for thirty hours and smells of rope and pine.", ((232, 216, 210), (168, 74, 62)), "candle"),
    ("jar", "Brine jar", 31, "Glass with a cork lid. It has ideas about pickles.", ((212, 232, 228), (60, 128, 124)), "jar"),
]


def inside(outline, x, y):
    """True where the object is; x and y from -1 to 1, y downwards."""
    if outline == "cup":
        handle = math.hypot(x - 0.42, (y - 0.05) * 1.1)
        return (abs(x) < 0.4 and -0.45 < y < 0.5) or 0.16 < handle < 0.26
    if outline == "lamp":
        return (-0.6 < y < 0.0 and abs(x) < 0.28 + 0.35 * (y + 0.6)) or (0 <= y < 0.6 and abs(x) < 0.04) or \
            (0.6 <= y < 0.66 and abs(x) < 0.3)
    if outline == "bowl":
        return -0.1 < y and (x / 0.75) ** 2 + ((y + 0.1) / 0.6) ** 2 < 1
    if outline == "vase":
        return abs(y) < 0.65 and abs(x) < 0.16 + 0.2 * math.cos((y - 0.25) * 2.6)
    if outline == "ring":
        return 0.44 < math.hypot(x, y) < 0.62 or (abs(x) < 0.02 and -0.36 < y < 0.02) or (abs(y) < 0.02 and -0.02 < x < 0.24)
    if outline == "plate":
        return (x / 0.8) ** 2 + ((y - 0.15) / 0.34) ** 2 < 1
    if outline == "candle":
        return (abs(x) < 0.2 and -0.25 < y < 0.6) or (x / 0.06) ** 2 + ((y + 0.42) / 0.14) ** 2 < 1
    return (abs(x) < 0.34 and -0.4 < y < 0.6) or (abs(x) < 0.26 and -0.58 < y <= -0.44)


def picture(outline, background, colour, seed):
    """A PNG: the object on a soft background, lit from the left, with a little grain."""
    grain = random.Random(seed).randbytes(WIDTH * HEIGHT)
    rows = bytearray()
    for row in range(HEIGHT):
        rows.append(0)  # no filter
        y = (row - HEIGHT / 2) / (HEIGHT / 2)
        wall = 1.06 - 0.16 * abs(y - 0.2)
        for column in range(WIDTH):
            x = (column - WIDTH / 2) / (HEIGHT / 2)
            if inside(outline, x, y):
                base, light = colour, 1.18 - 0.55 * (x + 0.5)
            elif y > 0.55 and (x - 0.12) ** 2 + ((y - 0.66) * 5) ** 2 < 0.3:
                base, light = background, 0.82
            else:
                base, light = background, wall
            noise = grain[row * WIDTH + column] & 7
            for value in base:
                shaded = int(value * light) + noise - 4
                rows.append(0 if shaded < 0 else 255 if shaded > 255 else shaded)

    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(bytes(rows), 6)) + part(b"IEND", b"")


STYLE = """
:root { --ink: #1f2d33; --soft: #60727a; --line: #dde4e6; --accent: #b4632d }
* { box-sizing: border-box }
body { margin: 0; font: 17px/1.55 "Iowan Old Style", Georgia, serif; color: var(--ink); background: #fbfaf7 }
header, main, footer { max-width: 1040px; margin: 0 auto; padding: 0 24px }
header { display: flex; align-items: baseline; gap: 28px; padding-top: 28px; padding-bottom: 18px; border-bottom: 1px solid var(--line) }
header strong { font-size: 26px; letter-spacing: .01em }
a { color: inherit } nav a { margin-right: 18px; color: var(--soft); text-decoration: none } nav a:hover { color: var(--accent) }
.shelf { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 26px; padding: 30px 0 }
.shelf a { text-decoration: none } .shelf img { width: 100%; height: auto; border-radius: 4px; display: block }
.shelf b { display: block; margin-top: 10px } .price { color: var(--accent) } .one { display: flex; gap: 36px; padding: 36px 0; flex-wrap: wrap }
.one img { width: 480px; max-width: 100%; border-radius: 4px } button, .button { font: inherit; padding: 9px 20px; border: 0;
border-radius: 4px; background: var(--accent); color: #fff; cursor: pointer } input { font: inherit }
footer p { margin: 6px 0 0 } h1 { font-weight: 500; letter-spacing: -.01em; margin: 34px 0 0 } .shelf img { transition: transform .2s }
.shelf a:hover img { transform: translateY(-3px) } .shelf b { font-weight: 600 }
.welcome { margin: 30px 0 6px; padding: 46px 40px; border-radius: 6px; color: #fdf8ef;
background: linear-gradient(115deg, #24404d, #3f6d78 55%, #c98d58) } .welcome h1 { margin: 0; font-size: 38px } .welcome p { margin: 8px 0 0 }
footer { margin-top: 30px; padding-top: 14px; padding-bottom: 40px; border-top: 1px solid var(--line); color: var(--soft); font-size: 15px }
"""


# What the browser knows of the page's way here: its protocol, and the legs that Server-Timing tells.
WAY = """
addEventListener("load", () => {
  const page = performance.getEntriesByType("navigation")[0], legs = page.serverTiming || [];
  const told = legs.filter(leg => leg.duration >= 0.1).map(leg => `${leg.description} ${leg.duration.toFixed(1)} ms`);
  const cache = legs.find(leg => leg.name == "cache");
  const from = page.transferSize == 0 ? "your browser\'s own cache" : cache && cache.description.startsWith("hit") ? "the edge\'s store" : "the origin";
  document.getElementById("way").textContent = `This page came over ${page.nextHopProtocol || "HTTP"} from ${from}, ` +
    `${page.responseStart.toFixed(0)} ms after you asked.` + (told.length ? ` Of these: ${told.join(", ")}.` : "");
});
"""


def page(title, body):
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title} &middot; Harbour &amp; Pine</title><link rel="stylesheet" href="/style.css"></head>
<body><header><strong>Harbour &amp; Pine</strong><nav><a href="/">Shelf</a><a href="/about.html">About</a>
<a href="/upload.html">Send a picture</a><a href="/slow">Stock</a></nav></header>
<main>
{body}
</main><footer>Made by hand in small numbers. This shop is a demonstration; nothing is for sale.
<p id="way"></p><script>{WAY}</script></footer></body></html>
"""


def shelf():
    cards = "\n".join(f'<a href="/{slug}.html"><img src="/{slug}.png" alt="{name}" width="{WIDTH}" height="{HEIGHT}">'
                      f'<b>{name}</b><span class="price">&euro; {price}</span></a>'
                      for slug, name, price, *_ in PRODUCTS)
    return f'{WELCOME}\n<div class="shelf">\n{cards}\n</div>'


def product(slug, name, price, text):
    return f"""<div class="one"><img src="/{slug}.png" alt="{name}" width="{WIDTH}" height="{HEIGHT}"><div><h1>{name}</h1>
<p>{text}</p><p class="price">&euro; {price}</p><p><a class="button" href="/">Back to the shelf</a></p></div></div>"""


WELCOME = """<div class="welcome"><h1>Things for the house</h1>
<p>Eight of them, thrown, turned and spun in a workshop by the water.</p></div>"""

ABOUT = """<h1>About</h1><p>A potter, a carpenter and a retired harbour pilot share a workshop by the water. What they make is shown
here, and this page reached you through an edge near you, over one link, from one machine far away.</p>"""

UPLOAD = """<h1>Send a picture</h1><p>Show us where it stands. We answer with its size and checksum.</p>
<form method="post" action="/upload" enctype="multipart/form-data"><input type="file" name="picture"> <button>Send</button></form>"""


def page_paths():
    """What a browser fetches to show the first page."""
    return ["/", "/style.css", *(f"/{slug}.png" for slug, *_ in PRODUCTS)]


def write(folder):
    os.makedirs(folder, exist_ok=True)

    def put(name, content):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())

    put("index.html", page("Shelf", shelf()))
    put("about.html", page("About", ABOUT))
    put("upload.html", page("Send a picture", UPLOAD))
    put("style.css", STYLE)
    for number, (slug, name, price, text, (background, colour), outline) in enumerate(PRODUCTS):
        put(f"{slug}.html", page(name, product(slug, name, price, text)))
        put(f"{slug}.png", picture(outline, background, colour, number))
    put("catalogue.bin", random.Random(2).randbytes(DOWNLOAD_BYTES))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(sys.argv[1])
