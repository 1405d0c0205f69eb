"""Visitors of a running app without a browser: they speak Streamlit's protocol over a real websocket."""

import asyncio
import random
import time

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.Slider_pb2 import Slider
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates

ROOM = '{"room": {"width": 1040, "height": 800}}'  # pixels: not what is assumed until the ruler has told
PATIENCE = 180  # seconds after which no answer is expected any more
_ENDS = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)


class Visitor:
    """One tab of a browser: what it has seen of the controls, and what it sends back.

    As a browser it tells the width of its page as soon as the ruler is there, sends the link that it shows, and
    names the large messages that it still has.

    Opened again after its connection broke it goes on as a browser does, with the cookie that it was given.

    Attributes
    ----------
    link : str
        The query string that it shows.
    words : list of str
        What the last run said.
    figures : dict
        Place in the page -> the specification of a figure and its tables, as they came.
    session, cookie : str
        What the server calls it, and what was set for it when it connected.

    Parameters
    ----------
    address : str
        Such as "http://127.0.0.1:8501".
    seed : int
        Of what it does.
    """

    def __init__(self, address, seed=0):
        self._address, self.random = address, random.Random(seed)
        self._socket = self._ruler = None
        self.link, self._page, self._script = "", "", ""
        self._sliders, self._values, self._large = {}, {}, {}  # by Streamlit's own name; large messages by their hash
        self._heard = False
        self._buttons, self._chosen, self._again = {}, {}, {}  # label -> button; its id -> what is chosen; fragments
        self.exceptions, self.received = [], 0
        self.figures, self.words, self.session, self.cookie = {}, [], "", ""

    async def open(self, page, link=""):
        """Connect and open a page, "" for the first; return the seconds until it stands in the width of the window."""
        start = time.perf_counter()
        self._page, self.link = page, link
        self._socket = await websockets.connect(
            self._address.replace("http", "ws", 1) + "/_stcore/stream",
            subprotocols=["streamlit"], origin=self._address, max_size=None, open_timeout=PATIENCE,
            additional_headers={"Cookie": self.cookie} if self.cookie else None,
        )  # fmt: skip
        if given := self._socket.response.headers.get("Set-Cookie"):
            self.cookie = given.partition(";")[0]
        await self._send()
        await self._listen()
        return time.perf_counter() - start

    async def move(self):
        """Move any slider of the page anywhere; return the seconds until the page has answered, None without a slider.

        A slider of numbers sends numbers, one of options their words.
        """
        if not self._sliders:
            return None
        one, fragment = self.random.choice(list(self._sliders.values()))
        handles = len(self._values[one.id])
        steps = round((one.max - one.min) / one.step)
        if one.type == Slider.SELECT_SLIDER:
            steps = len(one.options) - 1
        places = sorted(self.random.randint(0, steps) for _ in range(handles))
        if one.type == Slider.SELECT_SLIDER:
            self._values[one.id] = [one.options[place] for place in places]
        else:
            self._values[one.id] = [one.min + place * one.step for place in places]
        start = time.perf_counter()
        await self._send(fragment)
        await self._listen()
        return time.perf_counter() - start

    async def touch(self, label, among=None):
        """Press a button, or choose one of several; return the seconds until the page has answered.

        Parameters
        ----------
        label : str
            Of the button, or of the whole choice.
        among : int, optional
            Place among the options of a choice.
        """
        name, fragment, options = self._buttons[label]
        start = time.perf_counter()
        if among is None:
            await self._send(fragment, WidgetState(id=name, trigger_value=True))
        else:
            self._chosen[name] = options[among]
            await self._send(fragment)
        await self._listen()
        return time.perf_counter() - start

    async def look_again(self):
        """Run again what looks again by itself, as a browser does every few seconds; return the seconds it took."""
        start = time.perf_counter()
        for fragment in list(self._again):
            await self._send(fragment)
            await self._listen()
        return time.perf_counter() - start

    async def close(self):
        """Close the tab."""
        if self._socket is not None:
            await self._socket.close()

    async def _send(self, fragment="", pressed=None):
        message = BackMsg()
        run = message.rerun_script
        run.query_string, run.page_script_hash, run.page_name = self.link, self._script, self._page
        run.fragment_id = fragment
        run.widget_states.CopyFrom(self._states())
        if pressed is not None:
            run.widget_states.widgets.append(pressed)
        run.cached_message_hashes.extend(self._large)
        self._heard = False
        await self._socket.send(message.SerializeToString())

    def _states(self):
        states = [WidgetState(id=self._ruler, json_value=ROOM)] if self._ruler else []
        for name in self._sliders:
            values = self._values[name]
            states.append(WidgetState(id=name))
            kind = "string_array_value" if isinstance(values[0], str) else "double_array_value"
            getattr(states[-1], kind).data.extend(values)
        for name, option in self._chosen.items():
            states.append(WidgetState(id=name))
            states[-1].string_array_value.data.append(option)
        return WidgetStates(widgets=states)

    async def _listen(self):
        """Take in messages until a run that has heard what was sent last comes to its end."""
        seen, drawn = {}, {}
        while True:
            raw = await asyncio.wait_for(self._socket.recv(), PATIENCE)
            self.received += len(raw)
            message = ForwardMsg.FromString(raw)
            if message.WhichOneof("type") == "ref_hash":
                message = self._large[message.ref_hash]
            elif message.metadata.cacheable:
                self._large[message.hash] = message
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self._heard, seen, drawn, self.words = True, {}, {}, []
                self.session = message.new_session.initialize.session_id
            elif kind == "navigation":
                self._script = message.navigation.page_script_hash
            elif kind == "page_info_changed":
                self.link = message.page_info_changed.query_string
            elif kind == "auto_rerun":
                self._again[message.auto_rerun.fragment_id] = message.auto_rerun.interval
            elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                await self._see(message.delta, seen)
                if message.delta.new_element.WhichOneof("type") == "vega_lite_chart":
                    chart = message.delta.new_element.vega_lite_chart
                    place = tuple(message.metadata.delta_path)
                    drawn[place] = chart.spec, *(each.data.data for each in chart.datasets)
            elif kind == "script_finished" and message.script_finished in _ENDS and self._heard:
                whole = message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
                self._sliders = seen if whole else self._sliders | seen
                self.figures = drawn if whole else self.figures | drawn
                return

    async def _see(self, delta, seen):
        element = delta.new_element
        kind = element.WhichOneof("type")
        if kind == "slider" and not element.slider.disabled:
            one = element.slider
            seen[one.id] = one, delta.fragment_id
            if one.set_value:
                self._values[one.id] = list(one.raw_value or one.value)
            elif one.id not in self._values:
                words = one.type == Slider.SELECT_SLIDER
                self._values[one.id] = [one.options[int(at)] for at in one.default] if words else list(one.default)
        elif kind == "markdown":
            self.words.append(element.markdown.body)
        elif kind == "button":
            self._buttons[element.button.label] = element.button.id, delta.fragment_id, ()
        elif kind == "button_group":
            one = element.button_group
            self._buttons[one.label] = one.id, delta.fragment_id, [option.content for option in one.options]
        elif kind == "bidi_component" and "page_width" in element.bidi_component.component_name and not self._ruler:
            self._ruler = element.bidi_component.id
            await asyncio.sleep(0.15)  # in which a browser waits for the window to rest
            await self._send()
        elif kind == "exception":
            self.exceptions.append(element.exception.message)
