// A small keyed renderer: views describe what should be there, and only what differs is touched,
// so that focus, selection and scrolling outlive a redraw.

/** What `render` last gave to a node: its key and properties. */
const drawn = new WeakMap();

/**
 * Describe an element.
 *
 * Properties are attributes, except `onevent` functions, `value` of a field, and `key`, which tells
 * siblings apart (an `id` does as well). `false`, `null` and `undefined` leave an attribute out.
 */
export function h(tag, props, ...children) {
  props ??= {};
  return { tag, props, key: props.key ?? props.id, children };
}

/** Make the children of `parent` what `children` describe; lists are flattened, falsy ones left out. */
export function render(parent, ...children) {
  const wanted = children.flat(Infinity).filter((child) => child || child === 0);
  const free = new Set(parent.childNodes);
  const nodes = wanted.map((child) => {
    const node = [...free].find((candidate) => fits(candidate, child)) ?? create(child);
    free.delete(node);
    return node;
  });
  // Leftovers go first: then a kept node, perhaps with the focus in it, seldom has to move.
  for (const node of free) node.remove();
  let place = parent.firstChild;
  nodes.forEach((node, index) => {
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
    update(node, wanted[index]);
  });
}

function fits(node, child) {
  if (!child.tag) return node.nodeType === Node.TEXT_NODE;
  return node.localName === child.tag && drawn.get(node)?.key === child.key;
}

function create(child) {
  return child.tag ? document.createElement(child.tag) : document.createTextNode("");
}

function update(node, child) {
  if (!child.tag) {
    if (node.data !== String(child)) node.data = child;
    return;
  }
  const before = drawn.get(node)?.props ?? {};
  for (const name of Object.keys({ ...before, ...child.props })) {
    if (name !== "key") set(node, name, child.props[name]);
  }
  drawn.set(node, child);
  render(node, child.children);
}

function set(node, name, value) {
  if (name.startsWith("on")) {
    node[name] = value ?? null;
  } else if (name === "value") {
    if (node.value !== value) node.value = value;
  } else if (value === false || value === null || value === undefined) {
    node.removeAttribute(name);
  } else {
    const text = value === true ? "" : String(value);
    if (node.getAttribute(name) !== text) node.setAttribute(name, text);
  }
}
