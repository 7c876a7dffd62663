/** A line chart in an SVG element that is drawn anew with each point. */

const NAMESPACE = "http://www.w3.org/2000/svg";
const HEIGHT = 220;
const MARGIN = { top: 10, right: 24, bottom: 24, left: 48 };

/** Round steps, about `count` of them, from `low` to `high`. */
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/**
 * @param svg the element
 * @param range [x, y] pairs: from where to where each axis goes
 * @param format text of a value on the vertical axis
 * @returns add(x, y), which draws one more point
 */
export function lineChart(svg, { x: [left, right], y: [bottom, top], format }) {
  const points = [];
  const draw = () => {
    const width = svg.clientWidth;
    const across = (x) => MARGIN.left + ((x - left) / (right - left)) * (width - MARGIN.left - MARGIN.right);
    const up = (y) => {
      const inside = Math.min(Math.max(y, bottom), top);
      return (
        HEIGHT - MARGIN.bottom - ((inside - bottom) / (top - bottom)) * (HEIGHT - MARGIN.top - MARGIN.bottom)
      );
    };
    const make = (name, attributes, text = "") => {
      const element = document.createElementNS(NAMESPACE, name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      element.textContent = text;
      return element;
    };
    const place = points.map(([x, y]) => `${across(x).toFixed(1)},${up(y).toFixed(1)}`);
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.replaceChildren(
      ...ticks(bottom, top, 5).flatMap((y) => [
        make("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: up(y), y2: up(y) }),
        make("text", { x: MARGIN.left - 8, y: up(y) + 4, "text-anchor": "end" }, format(y)),
      ]),
      ...ticks(left, right, 5).map((x) =>
        make("text", { x: across(x), y: HEIGHT - 4, "text-anchor": "middle" }, x.toLocaleString("en")),
      ),
      make("path", { d: place.length > 0 ? `M${place.join("L")}` : "" }),
    );
  };
  draw();
  return (x, y) => {
    points.push([x, y]);
    draw();
  };
}
