// What the visitor sees. The network runs in worker.js.
const find = id => document.getElementById(id);
const say = text => { find("status").textContent = text; };
const state = {worker: null, isReady: false, waiting: null, urls: [], shape: [1, 1]};

// Threads need a page that is cross-origin isolated. isolate.js adds the headers for it where the
// server does not send them. If that is not possible, one thread computes.
async function isolate() {
  if (crossOriginIsolated || !isSecureContext || !navigator.serviceWorker) return false;
  try {
    await navigator.serviceWorker.register("isolate.js");
    await navigator.serviceWorker.ready;
    if (sessionStorage.getItem("isolated")) return false;  // tried once: do not reload for ever
    sessionStorage.setItem("isolated", "tried");
  } catch { return false; }
  location.reload();
  return true;
}

function start() {
  state.worker?.terminate();
  state.isReady = false;
  state.worker = new Worker("worker.js", {type: "module"});
  state.worker.onmessage = ({data}) => answers[data.kind](data);
  state.worker.onerror = event => answers.failed({text: event.message || "The network could not be loaded."});
}

const answers = {
  ready({computes}) {
    state.isReady = true;
    document.documentElement.dataset.computes = computes;
    if (state.waiting) return enlarge(state.waiting);
    say(`Ready. Computes on ${computes}.`);
  },
  progress({share}) { find("progress").value = share; },
  done(made) {
    find("working").hidden = true;
    show(made);
    const {width, height, seconds, computes, notes} = made;
    say([`${width} × ${height} pixels in ${seconds.toFixed(1)} s on ${computes}.`, ...notes].join(" "));
  },
  failed({text}) {
    find("working").hidden = true;
    say(text);
  },
};

function enlarge(file) {
  if (!file) return;
  state.waiting = null;
  find("result").hidden = true;
  find("working").hidden = false;
  find("progress").removeAttribute("value");
  say(state.isReady ? `Enlarging ${file.name} …` : "Loading the network …");
  if (!state.isReady) { state.waiting = file; return; }
  state.file = file;
  state.worker.postMessage(file);
}

function show({png, preview, before, width, height}) {
  state.urls.forEach(URL.revokeObjectURL);
  state.urls = [png, preview ?? png, before].map(blob => URL.createObjectURL(blob));
  [find("save").href, find("after").src, find("before").src] = state.urls;
  find("save").download = state.file.name.replace(/\.[^.]*$/, "") + "-enlarged.png";
  state.shape = [width, height];
  find("result").hidden = false;
  fit();
}

function fit() {
  const [width, height] = state.shape, stage = find("stage").style;
  const isActual = find("zoom").getAttribute("aria-pressed") === "true";
  find("view").classList.toggle("actual", isActual);
  const room = Math.min(width / devicePixelRatio, find("view").parentElement.clientWidth,
                        0.75 * innerHeight * width / height);
  const across = isActual ? width / devicePixelRatio : room;
  stage.width = `${across}px`;
  stage.height = `${across * height / width}px`;
  slide();
}

function slide() {
  const share = find("slider").value;
  find("before").style.clipPath = `inset(0 ${100 - share}% 0 0)`;
  find("bar").style.left = `${share}%`;
}

function drag(event) {
  if (!event.buttons || find("view").classList.contains("actual")) return;
  const {left, width} = find("stage").getBoundingClientRect();
  find("slider").value = 100 * (event.clientX - left) / width;
  slide();
}

function listen() {
  find("file").onchange = () => enlarge(find("file").files[0]);
  find("stop").onclick = () => {
    start();
    answers.failed({text: "Stopped."});
  };
  find("slider").oninput = slide;
  find("stage").onpointerdown = find("stage").onpointermove = drag;
  find("zoom").onclick = () => {
    const isActual = find("zoom").getAttribute("aria-pressed") !== "true";
    find("zoom").setAttribute("aria-pressed", isActual);
    fit();
  };
  addEventListener("resize", fit);
  addEventListener("dragover", event => { event.preventDefault(); find("drop").classList.add("over"); });
  addEventListener("dragleave", () => find("drop").classList.remove("over"));
  addEventListener("drop", event => {
    event.preventDefault();
    find("drop").classList.remove("over");
    enlarge(event.dataTransfer.files[0]);
  });
  addEventListener("paste", event => enlarge(event.clipboardData.files[0]));
}

const network = await (await fetch("network.json")).json();
find("about").textContent = `Network ${network.name} (${network.licence}), ×${network.scale}, by ${network.made_by}; ` +
  "computed by onnxruntime-web (MIT). The licences of enhance, its networks and onnxruntime are in the folder licences.";
if (!await isolate()) {
  say("Loading the network …");
  listen();
  start();
}
