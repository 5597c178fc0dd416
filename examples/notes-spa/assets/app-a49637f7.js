// The folder the app lies in, whatever its address: /apps/{plugin}/{instance}/ or a domain's root.
const base = new URL('../', import.meta.url);

const firstNotes = [
  { id: '1', title: 'Welcome', text: 'This is a single-page app. Open a note, then edit it: each view has its own address, and reloading any of them brings you back to it.' },
  { id: '2', title: 'Groceries', text: 'Bread\nLentils\nLemons\nCoffee' },
  { id: '3', title: 'Ideas', text: 'A page for the reading circle.\nA form for the summer party.' },
];

function loadNotes() {
  try {
    return JSON.parse(localStorage.getItem('notes')) || firstNotes;
  } catch {
    return firstNotes; // storage is off, or holds something else
  }
}

function saveNotes(notes) {
  try {
    localStorage.setItem('notes', JSON.stringify(notes));
  } catch {
    // kept until the page is left
  }
}

let notes = loadNotes();

function element(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function link(path, attributes, ...children) {
  return element('a', { href: new URL(path, base).pathname, ...attributes }, ...children);
}

function showList() {
  const items = notes.map((note) =>
    element('li', null, link(`notes/${note.id}`, null,
      element('strong', null, note.title), element('span', null, note.text.split('\n')[0]))));
  return { title: 'All notes', nodes: [element('ul', null, ...items)] };
}

function showNote(note) {
  return {
    title: note.title,
    nodes: [
      element('p', { class: 'text' }, note.text),
      element('nav', { 'aria-label': 'Note' },
        link(`notes/${note.id}/edit`, { class: 'main' }, 'Edit'), link('', null, 'All notes')),
    ],
  };
}

function showEditor(note) {
  const title = element('input', { name: 'title', required: '', maxlength: '120', value: note.title });
  const text = element('textarea', { name: 'text', maxlength: '5000' }, note.text);
  const form = element('form', null,
    element('label', null, 'Title', title), element('label', null, 'Text', text),
    element('nav', { 'aria-label': 'Editor' },
      element('button', { class: 'main' }, 'Save'), link(`notes/${note.id}`, null, 'Cancel')));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    notes = notes.map((one) => (one.id === note.id ? { ...one, title: title.value, text: text.value } : one));
    saveNotes(notes);
    go(new URL(`notes/${note.id}`, base).pathname);
  });
  return { title: `Edit “${note.title}”`, nodes: [form] };
}

function showNothing() {
  return {
    title: 'No such page',
    nodes: [element('p', null, 'There is no note at this address.'),
      element('nav', { 'aria-label': 'Way back' }, link('', { class: 'main' }, 'All notes'))],
  };
}

function viewOf(pathname) {
  const path = pathname.slice(base.pathname.length).replace(/\/$/, '');
  const match = /^notes\/([^/]+)(\/edit)?$/.exec(path);
  const note = match && notes.find((one) => one.id === decodeURIComponent(match[1]));
  if (path === '' || path === 'index.html') return showList();
  if (!note) return showNothing();
  return match[2] ? showEditor(note) : showNote(note);
}

function render(moveFocus) {
  const view = viewOf(location.pathname);
  const heading = element('h1', { tabindex: '-1' }, view.title);
  document.title = `${view.title} · Notes`;
  document.querySelector('main').replaceChildren(heading, ...view.nodes);
  if (moveFocus) {
    scrollTo(0, 0);
    heading.focus(); // so that a screen reader reads the new page's title
  }
}

function go(pathname) {
  history.pushState(null, '', pathname);
  render(true);
}

document.addEventListener('click', (event) => {
  const anchor = event.target.closest('a[href]');
  const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!anchor || !isPlain || anchor.origin !== location.origin || anchor.hash ||
      !anchor.pathname.startsWith(base.pathname)) return;
  event.preventDefault();
  go(anchor.pathname);
});

addEventListener('popstate', () => render(true));
document.querySelector('header a').href = base.pathname;
document.querySelector('header img').src = new URL('logo.svg', base).pathname;
render(false);
