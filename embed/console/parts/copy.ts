// A button that copies a text.
import type { Context } from '../context';
import { h, icon } from '../dom';

export function copyButton(context: Context, text: string, label: string): HTMLButtonElement {
    return h('button', { type: 'button', class: 'plain', 'aria-label': label, title: label, on: { click: () => void copy(context, text) } }, icon('copy'));
}

// A host that does not pass its right on to the frame leaves the old way.
async function copy({ tell, words }: Context, text: string): Promise<void> {
    try {
        await navigator.clipboard.writeText(text);
    } catch {
        const area = h('textarea', { class: 'unseen' });
        area.value = text;
        document.body.append(area);
        area.select();
        document.execCommand('copy');
        area.remove();
    }
    tell(words.copied);
}
