// The brain that turns: one mesh, drawn with WebGL, coloured by the map that is chosen.
(() => {
  const packed = document.getElementById("data-brain");
  if (!packed) return; // there are no maps
  const data = JSON.parse(packed.textContent);
  const canvas = document.getElementById("brain");
  const gl = canvas.getContext("webgl", { antialias: true, alpha: true, preserveDrawingBuffer: true });

  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const places = Float32Array.from(new Int16Array(bytes(data.places).buffer), (value) => value / 100);
  const faces = new Uint16Array(bytes(data.faces).buffer);
  const grey = bytes(data.grey);
  const vertices = new Uint16Array(bytes(data.vertices).buffer);

  // Choices: the map, then the models and the subjects that have it.
  const [title, model, subject] = ["title", "model", "subject"].map(
    (name) => document.getElementById(`brain-${name}`));
  function offer(select, values) {
    const before = select.value;
    select.replaceChildren(...values.map((value) => new Option(value || "–", value)));
    select.value = values.includes(before) ? before : values[0];
    select.disabled = values.length < 2;
  }
  const unique = (values) => [...new Set(values)];
  function chosen() {
    const ofTitle = data.maps.filter((map) => map.title === title.value);
    offer(model, unique(ofTitle.map((map) => map.model)));
    const ofModel = ofTitle.filter((map) => map.model === model.value);
    offer(subject, unique(ofModel.map((map) => map.subject)));
    return ofModel.find((map) => map.subject === subject.value);
  }

  function legend(bar) {
    const at = document.getElementById("brain-bar");
    const make = (name, className, text) => {
      const element = document.createElement(name);
      element.className = className;
      if (text) element.textContent = text;
      return element;
    };
    at.replaceChildren();
    if (bar.categories) {
      const list = make("ul", "keys");
      for (const one of bar.categories) {
        const item = make("li", "");
        const swatch = make("span", "swatch");
        swatch.style.color = one.colour;
        item.append(swatch, one.name);
        list.append(item);
      }
      at.append(list, make("span", "", bar.unit));
      return;
    }
    const strip = make("div", "bar");
    strip.style.background = `linear-gradient(to right, ${bar.gradient})`;
    if (bar.mark) {
      const mark = make("span", "mark");
      mark.style.left = `${bar.mark.at}%`;
      strip.append(mark);
    }
    const ends = make("div", "ends");
    const unit = bar.mark ? `${bar.unit}; line: ${bar.mark.text}` : bar.unit;
    ends.append(make("span", "", bar.low), make("span", "", unit), make("span", "", bar.high));
    at.append(strip, ends);
  }

  offer(title, unique(data.maps.map((map) => map.title)));
  if (!gl) {
    canvas.hidden = true;
    document.getElementById("brain-none").hidden = false;
    legend(chosen().bar);
    [title, model, subject].forEach((select) =>
      select.addEventListener("change", () => legend(chosen().bar)));
    return;
  }

  function shader(kind, source) {
    const made = gl.createShader(kind);
    gl.shaderSource(made, source);
    gl.compileShader(made);
    return made;
  }
  const program = gl.createProgram();
  gl.attachShader(program, shader(gl.VERTEX_SHADER, `
    attribute vec3 place, normal, colour;
    uniform mat3 turn;
    uniform vec2 scale;
    varying vec3 shown;
    varying float facing;
    void main() {
      vec3 at = turn * place;
      shown = colour;
      facing = (turn * normal).z;
      gl_Position = vec4(at.xy * scale, -at.z / 400.0, 1.0);
    }`));
  gl.attachShader(program, shader(gl.FRAGMENT_SHADER, `
    precision mediump float;
    varying vec3 shown;
    varying float facing;
    void main() { gl_FragColor = vec4(shown * (0.55 + 0.45 * abs(facing)), 1.0); }`));
  gl.linkProgram(program);
  gl.useProgram(program);

  function normals() {
    const sum = new Float32Array(places.length);
    for (let f = 0; f < faces.length; f += 3) {
      const [a, b, c] = [3 * faces[f], 3 * faces[f + 1], 3 * faces[f + 2]];
      const [ux, uy, uz] = [0, 1, 2].map((i) => places[b + i] - places[a + i]);
      const [vx, vy, vz] = [0, 1, 2].map((i) => places[c + i] - places[a + i]);
      const cross = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
      for (const corner of [a, b, c]) for (let i = 0; i < 3; i++) sum[corner + i] += cross[i];
    }
    for (let v = 0; v < sum.length; v += 3) {
      const length = Math.hypot(sum[v], sum[v + 1], sum[v + 2]) || 1;
      for (let i = 0; i < 3; i++) sum[v + i] /= length;
    }
    return sum;
  }
  function attribute(name, values) {
    const buffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    const at = gl.getAttribLocation(program, name);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, 3, gl.FLOAT, false, 0, 0);
    return buffer;
  }
  attribute("place", places);
  attribute("normal", normals());
  const colours = attribute("colour", new Float32Array(places.length));
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, faces, gl.STATIC_DRAW);
  gl.enable(gl.DEPTH_TEST);

  // Degrees: round the vertical axis, then up and down. Behind the brain, its left is on the left.
  const views = { back: [0, 0], below: [0, -90], above: [0, 90], left: [90, 0], right: [-90, 0] };
  let [round, up] = [0, -15];
  let zoom = 1;

  function draw() {
    const pixels = Math.min(window.devicePixelRatio || 1, 2);
    const [width, height] = [canvas.clientWidth * pixels, canvas.clientHeight * pixels].map(Math.round);
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    gl.viewport(0, 0, width, height);
    const [a, b] = [round, up].map((degrees) => degrees * Math.PI / 180);
    const [sa, ca, sb, cb] = [Math.sin(a), Math.cos(a), Math.sin(b), Math.cos(b)];
    // Right, front and up to right and up on the page and towards the viewer, who stands behind.
    const right = [ca, -sa, 0];
    const top = [sb * sa, sb * ca, cb];
    const near = [-cb * sa, -cb * ca, sb];
    const turn = [0, 1, 2].flatMap((i) => [right[i], top[i], near[i]]);
    gl.uniformMatrix3fv(gl.getUniformLocation(program, "turn"), false, turn);
    const size = zoom / 108;
    gl.uniform2f(gl.getUniformLocation(program, "scale"), size * Math.min(1, height / width),
      size * Math.min(1, width / height));
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.drawElements(gl.TRIANGLES, faces.length, gl.UNSIGNED_SHORT, 0);
  }

  function paint() {
    const map = chosen();
    const rgb = bytes(map.colours);
    const values = Float32Array.from({ length: places.length }, (_, i) => grey[Math.floor(i / 3)] / 255);
    vertices.forEach((vertex, i) => {
      if (rgb[3 * i] + rgb[3 * i + 1] + rgb[3 * i + 2] === 0) return;
      for (let c = 0; c < 3; c++) values[3 * vertex + c] = rgb[3 * i + c] / 255;
    });
    gl.bindBuffer(gl.ARRAY_BUFFER, colours);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    legend(map.bar);
    draw();
  }

  function turnBy(sideways, upwards) {
    round += sideways;
    up = Math.max(-90, Math.min(90, up + upwards));
    draw();
  }
  let from = null;
  canvas.addEventListener("pointerdown", (event) => {
    from = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!from) return;
    turnBy((event.clientX - from[0]) * 0.5, (event.clientY - from[1]) * 0.5);
    from = [event.clientX, event.clientY];
  });
  ["pointerup", "pointercancel"].forEach((name) =>
    canvas.addEventListener(name, () => { from = null; }));
  const steps = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, -10], ArrowDown: [0, 10] };
  const zooms = { "+": 1.25, "=": 1.25, "-": 0.8 };
  function zoomBy(factor) {
    zoom = Math.max(0.5, Math.min(6, zoom * factor));
    draw();
  }
  canvas.addEventListener("keydown", (event) => {
    if (steps[event.key]) turnBy(...steps[event.key]);
    else if (zooms[event.key]) zoomBy(zooms[event.key]);
    else return;
    event.preventDefault();
  });
  document.querySelectorAll("[data-view]").forEach((button) => button.addEventListener("click", () => {
    [round, up] = views[button.dataset.view];
    draw();
  }));
  document.querySelectorAll("[data-zoom]").forEach((button) =>
    button.addEventListener("click", () => zoomBy(Number(button.dataset.zoom))));
  [title, model, subject].forEach((select) => select.addEventListener("change", paint));
  new ResizeObserver(draw).observe(canvas);
  paint();
})();
