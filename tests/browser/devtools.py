"""A headless Chromium, driven through its own pipe; needs nothing but Python.

The protocol is Chromium's: https://chromedevtools.github.io/devtools-protocol/.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

NAMES = ["chromium", "chromium-browser", "google-chrome"]
# Software rendering, as WebGL 2 has no other way without a graphics card.
OPTIONS = [
    "--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--remote-debugging-pipe",
]


class Browser:
    """One tab. Messages of its console are kept in `told`."""

    def __init__(self):
        program = next(filter(None, map(shutil.which, NAMES)), None)
        if program is None:
            raise SystemExit("there is no Chromium; tests/browser/report.sh installs it")
        # Its processes may still write while they end.
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_read, self.out = os.pipe()
        self.inp, to_write = os.pipe()

        def pipes():
            # Above 3 and 4 first, as one may be in the other's place.
            high = [os.dup2(fd, 10 + i) for i, fd in enumerate((to_read, to_write))]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [program, *OPTIONS, f"--user-data-dir={self.profile.name}", "about:blank"],
            preexec_fn=pipes, close_fds=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self.buffer = b""
        self.number = 0
        self.told = []
        self.session = None
        tab = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.profile.cleanup()

    def receive(self, until):
        """The next message; `None` after a time."""
        while b"\0" not in self.buffer:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.inp], [], [], left)[0]:
                return None
            self.buffer += os.read(self.inp, 1 << 16)
        message, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(message)
        parameters = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.told.append(parameters["exceptionDetails"]["exception"]["description"])
        if message.get("method") == "Runtime.consoleAPICalled":
            words = [str(a.get("value", a.get("description"))) for a in parameters["args"]]
            if parameters["type"] in ("error", "warning"):
                self.told.append(" ".join(words))
        if message.get("method") == "Log.entryAdded":
            if parameters["entry"]["level"] in ("error", "warning"):
                self.told.append(parameters["entry"]["text"])
        return message

    def call(self, method, **parameters):
        """Sends a command and waits for its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + 120
        while (answer := self.receive(until)) is not None:
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
        raise AssertionError(f"{method}: no answer")

    def size(self, width, height, phone=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=phone)

    def go(self, url):
        self.call("Page.navigate", url=url)

    def value(self, expression):
        """The value of a JavaScript expression."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, expression, seconds=180):
        """Until the expression holds."""
        until = time.monotonic() + seconds
        while not self.value(expression):
            if time.monotonic() > until:
                problem = self.value("document.body.innerText.slice(0, 2000)")
                raise AssertionError(f"never: {expression}\n{self.told}\n{problem}")
            time.sleep(0.1)

    def press(self, key, control=False):
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if len(key) == 1 and kind == "keyDown" and not control else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, **text,
                      modifiers=2 if control else 0)

    def drag(self, places):
        """The left button goes down at the first place, along the others and up."""
        def mouse(kind, place, buttons):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1],
                      button="left", buttons=buttons, clickCount=1)
        mouse("mouseMoved", places[0], 0)
        mouse("mousePressed", places[0], 1)
        for place in places[1:]:
            mouse("mouseMoved", place, 1)
        mouse("mouseReleased", places[-1], 0)

    def screenshot(self, path=None, of=None):
        """A picture of the window, or of the element of an id."""
        options = {"format": "png"}
        if of:
            box = self.value(f"document.getElementById('{of}').getBoundingClientRect().toJSON()")
            options["clip"] = {k: box[k] for k in ("x", "y", "width", "height")} | {"scale": 1}
        png = base64.b64decode(self.call("Page.captureScreenshot", **options)["data"])
        if path:
            with open(path, "wb") as file:
                file.write(png)
        return png
