// Draws what was painted, and which segment of speech painted which region. Runs once, as gr.HTML's js_on_load.
const CELL = 512;
const make = (tag, kind, more = {}) => {
  const made = Object.assign(document.createElement(tag), more);
  if (kind) made.className = kind;
  return made;
};
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const percent = (x) => (x > 0 && x < 0.01 ? "less than 1 %" : `${Math.round(100 * x)} %`);
const attentionOf = (text) => Float32Array.from(bytes(text), (byte) => (byte / 255) ** 2);

// Hues from red to violet along the speech, neighbours told apart by lightness; OKLCH to sRGB (Ottosson 2020).
function colourOf(k, count) {
  const hue = ((20 + (300 * k) / Math.max(1, count - 1)) * Math.PI) / 180;
  const light = [0.66, 0.78, 0.56][k % 3];
  const a = 0.16 * Math.cos(hue), b = 0.16 * Math.sin(hue);
  const l = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (light - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s,
  ].map((v) => {
    const x = Math.min(1, Math.max(0, v));
    return Math.round(255 * (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055));
  });
}

const root = make("section", "viewer");
root.setAttribute("aria-label", "The painting, and what painted it");
root.innerHTML = `
  <div class="v-picture">
    <canvas class="v-canvas" width="${CELL}" height="${CELL}" role="img" aria-label="No picture yet"></canvas>
    <p class="v-empty">Your bird appears here.<br>Say something, type something, or click an example.</p>
    <div class="v-about" hidden>
      <p class="v-caption" aria-live="polite"></p>
      <div class="v-controls">
        <button type="button" class="v-map" aria-pressed="false">Map of all</button>
        <button type="button" class="v-none" aria-pressed="true">Picture only</button>
      </div>
    </div>
  </div>
  <div class="v-start">
    <h3>What to say</h3>
    <p>One short description of a bird, in English: the colours of its head, crown, wings, belly, breast and back, its
      beak, its size.</p>
    <p class="v-quote">“a small yellow bird with a black crown and black wings”</p>
    <h3>What you will see</h3>
    <p>Four stages, from 64 to 512 pixels. Then slide over the sound to see which part of the picture each moment of
      your speech painted.</p>
  </div>
  <div class="v-side" hidden>
    <h3 class="v-title"></h3>
    <div class="v-stages" role="group" aria-label="Stages of the painting"></div>
    <div class="v-understand" hidden>
      <p class="v-hint"></p>
      <div class="v-strip"><canvas class="v-mel" height="120" aria-hidden="true"></canvas>
        <div class="v-bars" aria-hidden="true"></div><div class="v-words"></div></div>
      <div class="v-controls">
        <label class="v-slide"><span class="v-slide-name">Segment</span>
          <input type="range" min="0" max="0" value="0" step="1"></label>
        <button type="button" class="v-play">Play segment</button>
        <button type="button" class="v-all">Play everything</button>
      </div>
    </div>
  </div>`;
const $ = (name) => root.querySelector(name);
const canvas = $(".v-canvas"), strip = $(".v-strip"), mel = $(".v-mel"), slider = $("input");

let data = null; // what the page was given last
let stage = 0, stagePicked = false; // which stage is shown, and whether a person picked it
let picked = null, view = "picture"; // segment; "picture", "segment" or "map"
let images = [], maps = [], sound = null, playing = null, playedUntil = null;

const count = () => data.parts.length;
const spoken = () => Boolean(data.mel);
const name = (k) => {
  const part = data.parts[k];
  if (part.word !== undefined) return `“${part.word}”`;
  const heard = data.words.filter((w) => Math.min(w.end, part.end) - Math.max(w.start, part.start) > 0.03);
  const said = heard.length ? `, about “${heard.map((w) => w.word).join(" ")}”` : "";
  return `${part.start.toFixed(2)} to ${part.end.toFixed(2)} s${said}`;
};

function where(map, k) {
  const side = map.resolution, at = map.data.subarray(k * side * side, (k + 1) * side * side);
  let x = 0, y = 0, all = 0;
  for (let i = 0; i < at.length; i++) {
    const weight = at[i] * at[i];
    x += weight * (i % side); y += weight * Math.floor(i / side); all += weight;
  }
  if (!all) return "nowhere in particular";
  const across = ["left", "centre", "right"][Math.min(2, Math.floor((3 * x) / all / side))];
  const down = ["upper", "middle", "lower"][Math.min(2, Math.floor((3 * y) / all / side))];
  return `mostly ${down} ${across}`;
}

function drawPicture() {
  const pen = canvas.getContext("2d"), image = images[stage], map = maps[stage];
  if (!image || !image.complete) return;
  pen.imageSmoothingEnabled = image.naturalWidth >= CELL / 2;
  pen.globalAlpha = 1;
  pen.filter = view === "picture" || !map ? "none" : "grayscale(1) brightness(0.85)";
  pen.drawImage(image, 0, 0, CELL, CELL);
  pen.filter = "none";
  if (!map || view === "picture") return;
  const side = map.resolution, area = side * side, over = new ImageData(side, side);
  if (view === "segment" && picked !== null) {
    const at = map.data.subarray(picked * area, (picked + 1) * area), [r, g, b] = colourOf(picked, count());
    const top = at.reduce((x, y) => Math.max(x, y), 1e-6), strong = Math.min(1, (top * count()) / 2);
    for (let i = 0; i < area; i++) over.data.set([r, g, b, (235 * (0.3 + 0.7 * strong) * at[i]) / top], 4 * i);
  } else {
    for (let i = 0; i < area; i++) {
      let best = 0;
      for (let k = 1; k < count(); k++) if (map.data[k * area + i] > map.data[best * area + i]) best = k;
      const lead = Math.min(1, Math.max(0.35, (map.data[best * area + i] * count()) / 3));
      over.data.set([...colourOf(best, count()), 165 * lead], 4 * i);
    }
  }
  const small = new OffscreenCanvas(side, side);
  small.getContext("2d").putImageData(over, 0, 0);
  pen.imageSmoothingEnabled = true;
  pen.drawImage(small, 0, 0, CELL, CELL);
}

function drawStrip() {
  const width = Math.max(200, Math.round(strip.clientWidth)), height = 120, dense = window.devicePixelRatio || 1;
  mel.width = width * dense; mel.height = height * dense;
  mel.style.width = `${width}px`; mel.style.height = spoken() ? `${height}px` : "0";
  if (!spoken()) return;
  const pen = mel.getContext("2d"), { frames, bins } = data.mel, level = bytes(data.mel.bytes);
  const end = data.parts[count() - 1].end, picture = new ImageData(frames, bins);
  let k = 0;
  for (let t = 0; t < frames; t++) {
    while (k < count() - 1 && (t + 0.5) / 100 >= data.parts[k].end) k++;
    const tint = colourOf(k, count()), dim = picked === null || picked === k ? 1 : 0.35;
    for (let f = 0; f < bins; f++) {
      const v = (level[t * bins + f] / 255) * dim;
      picture.data.set([...tint.map((c) => 18 + (c - 18) * Math.min(1, v * 1.4) + (255 - c) * Math.max(0, v - 0.75)), 255],
        4 * ((bins - 1 - f) * frames + t));
    }
  }
  const small = new OffscreenCanvas(frames, bins);
  small.getContext("2d").putImageData(picture, 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, 0, 0, (mel.width * frames) / 100 / Math.max(end, frames / 100), mel.height);
  if (picked !== null) {
    const { start, end: stop } = data.parts[picked];
    pen.strokeStyle = "#fff"; pen.lineWidth = 2 * dense;
    pen.strokeRect((start / end) * mel.width + dense, dense, ((stop - start) / end) * mel.width - 2 * dense, mel.height - 2 * dense);
  }
}

function drawBars(weights) {
  const top = Math.max(...weights, 1e-6), bars = $(".v-bars");
  bars.replaceChildren(...weights.map((weight, k) => {
    const bar = make("span", k === picked ? "on" : "");
    bar.style.flexGrow = spoken() ? data.parts[k].end - data.parts[k].start : 1;
    bar.style.setProperty("--share", `${(100 * weight) / top}%`);
    bar.style.setProperty("--colour", `rgb(${colourOf(k, count())})`);
    return bar;
  }));
}

function drawWords() {
  const words = $(".v-words"), end = spoken() ? data.parts[count() - 1].end : 1;
  words.classList.toggle("timed", spoken());
  const list = spoken() ? data.words : data.parts;
  words.replaceChildren(...list.map((part, k) => {
    const at = spoken() ? data.parts.findIndex((p) => (part.start + part.end) / 2 < p.end) : k;
    const word = make("button", "v-word", { type: "button", textContent: part.word });
    if (spoken()) {
      word.style.left = `${(100 * part.start) / end}%`;
      word.style.width = `${(100 * (part.end - part.start)) / end}%`;
      word.tabIndex = -1; // the slider leads to the same segments
    }
    word.style.setProperty("--colour", `rgb(${colourOf(Math.max(0, at), count())})`);
    word.onmouseenter = () => pick(at);
    word.onclick = () => { pick(at); play(part.start, part.end); };
    return word;
  }));
}

function describe() {
  const map = maps[stage], caption = $(".v-caption");
  const resolution = data.stages[stage].resolution;
  if (!map) {
    caption.textContent = `${resolution} px is painted from the whole ${spoken() ? "recording" : "sentence"} at once; ` +
      `single ${spoken() ? "segments" : "words"} come in at the next stage.`;
  } else if (view === "segment" && picked !== null) {
    caption.textContent = `${name(picked)} has ${percent(map.mass[picked])} of the attention at ${resolution} px, ${where(map, picked)}.`;
  } else if (view === "map") {
    caption.textContent = `Each region in the colour of the ${spoken() ? "segment" : "word"} that it listens to most, at ${resolution} px.`;
  } else caption.textContent = "";
  const kind = spoken() ? "Segment" : "Word";
  const label = picked === null ? `no ${kind.toLowerCase()} chosen` : `${kind} ${picked + 1} of ${count()}, ${name(picked)}`;
  slider.setAttribute("aria-valuetext", label);
  canvas.setAttribute("aria-label", `${resolution} px picture of: ${data.title}. ${view === "picture" ? "" : caption.textContent}`);
}

function show() {
  drawPicture(); drawStrip();
  drawBars(maps[stage] ? maps[stage].mass : data.parts.map(() => 0));
  root.querySelectorAll(".v-stage").forEach((b, k) => b.setAttribute("aria-pressed", String(k === stage)));
  root.querySelectorAll(".v-word").forEach((b, k) => b.classList.toggle("on", !spoken() && k === picked));
  $(".v-map").setAttribute("aria-pressed", String(view === "map"));
  $(".v-none").setAttribute("aria-pressed", String(view === "picture"));
  describe();
}

function pick(k) {
  if (!data || k === null || k < 0 || k >= count()) return;
  if (!maps[stage] && data.stages.length > 1) { stage = data.stages.length - 1; }
  picked = k; view = "segment"; slider.value = k;
  show();
}

async function play(start, end) {
  if (!data || !data.wave || start === undefined) return;
  sound ??= new AudioContext();
  await sound.resume();
  if (playing) playing.stop();
  const pcm = new Int16Array(bytes(data.wave.bytes).buffer), buffer = sound.createBuffer(1, pcm.length, data.wave.rate);
  buffer.copyToChannel(Float32Array.from(pcm, (v) => v / 32768), 0);
  playing = sound.createBufferSource();
  playing.buffer = buffer;
  playing.connect(sound.destination);
  playing.start(0, start, end - start);
  root.dataset.played = `${start.toFixed(2)}-${end.toFixed(2)}`;
}

function addStages() {
  const places = Array.from({ length: data.wanted }, (_, k) => {
    const given = data.stages[k], resolution = given ? given.resolution : data.stages[0].resolution * 2 ** k;
    const button = make("button", "v-stage", { type: "button", disabled: !given });
    button.append(given ? make("img", "", { src: given.png, alt: "" }) : make("span", "v-wait"), make("span", "", { textContent: `${resolution} px` }));
    button.setAttribute("aria-label", given ? `Show the ${resolution} px picture` : `${resolution} px, still being painted`);
    button.onclick = () => { stage = k; stagePicked = true; show(); };
    return button;
  });
  $(".v-stages").replaceChildren(...places);
}

function take() {
  const given = props.value;
  if (!element.contains(root)) element.replaceChildren(root);
  if (!given || !given.stages) return;
  if (given.stages.length === 1) { picked = null; view = "picture"; stagePicked = false; }
  data = given;
  if (!stagePicked) stage = data.stages.length - 1;
  $(".v-empty").hidden = $(".v-start").hidden = true;
  $(".v-side").hidden = false;
  const first = data.stages.length === 1, low = root.getBoundingClientRect().top > window.innerHeight - 100;
  if (first && low) root.scrollIntoView({ block: "start" }); // on a phone the picture lies below what was pressed
  root.dataset.stages = data.stages.length;
  $(".v-title").textContent = data.title;
  $(".v-understand").hidden = $(".v-about").hidden = false;
  const kind = spoken() ? "segment" : "word";
  $(".v-hint").textContent = spoken()
    ? "Slide over the sound to see which region each segment painted, or over the picture to see what it listened to; click to hear."
    : "Slide over the words to see which region each painted, or over the picture to see which words it read.";
  $(".v-slide-name").textContent = spoken() ? "Segment" : "Word";
  $(".v-play").textContent = `Play ${kind}`;
  $(".v-play").hidden = $(".v-all").hidden = !data.wave;
  slider.max = count() - 1;
  maps = data.stages.map((s) => s.attention && { ...s.attention, data: attentionOf(s.attention.bytes) });
  images = data.stages.map((s) => { const image = new Image(); image.onload = show; image.src = s.png; return image; });
  root.classList.toggle("mixed", !count());
  addStages();
  drawWords(); show();
}

const fromStrip = (event) => {
  const box = strip.getBoundingClientRect(), x = Math.min(0.9999, Math.max(0, (event.clientX - box.left) / box.width));
  return spoken() ? data.parts.findIndex((p) => x * data.parts[count() - 1].end < p.end) : Math.floor(x * count());
};
mel.addEventListener("pointermove", (event) => { if (data) pick(fromStrip(event)); });
mel.addEventListener("click", (event) => {
  if (!data) return;
  pick(fromStrip(event));
  play(data.parts[picked].start, data.parts[picked].end);
});
slider.addEventListener("input", () => pick(Number(slider.value)));
$(".v-play").onclick = () => { pick(picked ?? 0); play(data.parts[picked].start, data.parts[picked].end); };
$(".v-all").onclick = () => play(0, data.parts[count() - 1].end);
$(".v-map").onclick = () => {
  if (!maps[stage] && data.stages.length > 1) stage = data.stages.length - 1;
  view = view === "map" ? "picture" : "map"; picked = null; show();
};
$(".v-none").onclick = () => { view = "picture"; picked = null; show(); };
canvas.addEventListener("pointermove", (event) => {
  const map = data && maps[stage];
  if (!map || !count()) return;
  const box = canvas.getBoundingClientRect(), place = (v, size) => Math.min(map.resolution - 1, Math.max(0, Math.floor((v / size) * map.resolution)));
  const x = place(event.clientX - box.left, box.width), y = place(event.clientY - box.top, box.height);
  const weights = data.parts.map((_, k) => map.data[(k * map.resolution + y) * map.resolution + x]);
  const order = weights.map((_, k) => k).sort((a, b) => weights[b] - weights[a]);
  drawBars(weights);
  $(".v-caption").textContent = `This spot listened most to ${name(order[0])} (${percent(weights[order[0]])})` +
    (order.length > 1 ? `, then to ${name(order[1])} (${percent(weights[order[1]])}).` : ".");
});
canvas.addEventListener("pointerleave", () => { if (data) show(); });
new ResizeObserver(() => { if (data && count()) drawStrip(); }).observe(strip);
element.replaceChildren(root);
watch("value", take);
take();
