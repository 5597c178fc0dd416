// Dialogs on the browser's own element: focus stays inside, Escape closes, and goes back to where it was.
// They go with the view that opened them.
import type { Context } from '../context';
import { h, icon } from '../dom';

export interface Dialog {
    close: () => void;
}

let count = 0;

export function dialog({ words, signal }: Context, title: string, content: (close: () => void) => Node[]): Dialog {
    const id = `dialog-${++count}`;
    const close = (): void => element.close();
    const element: HTMLDialogElement = h('dialog', { 'aria-labelledby': id, on: { close: () => element.remove() } },
        h('header', {}, h('h2', { id }, title),
            h('button', { type: 'button', class: 'plain', 'aria-label': words.close, on: { click: close } }, icon('close'))));
    element.append(...content(close));
    element.addEventListener('pointerdown', (event) => {
        if (event.target === element) close(); // beside it
    });
    document.body.append(element);
    element.showModal();
    signal.addEventListener('abort', close);
    return { close };
}

/** Asks before something goes. */
export function confirm(context: Context, question: string, act: string, yes: () => Promise<void>): void {
    const { words } = context;
    dialog(context, act, (close) => [
        h('p', {}, question),
        h('footer', {},
            h('button', { type: 'button', on: { click: close } }, words.cancel),
            h('button', { type: 'button', class: 'danger', on: { click: () => { close(); void yes(); } } }, act)),
    ]);
}
