// /files: what visitors handed in.
import type { Json } from '../api';
import type { Context } from '../context';
import { h, icon, webUrl } from '../dom';
import { ago, size } from '../format';
import { appChoice } from '../parts/app-choice';
import { empty, pagedList } from '../parts/list';
import { sentence } from '../parts/load';
import type { Place } from '../router';
import { heading } from '../shell';

const PAGE = 25;

// Its link is good for minutes: a fresh one is asked for, in a window that the click has opened.
function openButton(context: Context, file: Json): HTMLElement {
    const { words } = context;
    const open = async (): Promise<void> => {
        const shown = window.open('about:blank', '_blank');
        try {
            const url = webUrl((await context.api.file(file.id)).url);
            if (!url || !shown) throw new Error(words.notFound);
            shown.opener = null;
            shown.location.href = url;
        } catch (error) {
            shown?.close();
            context.tell(sentence(error, words));
        }
    };
    return h('button', { type: 'button', class: 'plain', 'aria-label': `${words.download}: ${file.filename}`, title: words.download, on: { click: () => void open() } }, icon('open'));
}

export function fileList(context: Context, app: string | undefined, latest?: number): HTMLElement {
    const { api, signal, words, options } = context;
    return pagedList(context, words.files, async (cursor) => {
        const page = await api.files(app, latest ?? PAGE, cursor, signal);
        return latest ? { ...page, next: null } : page;
    }, (file) => ({
        title: file.filename, facts: [file.mimeType, size(file.size, options.locale), ago(file.createdAt, options.locale), !app && file.instanceSlug], actions: [openButton(context, file)],
    }), () => empty('files', words.noFiles, words.noFilesText));
}

export function filesView(context: Context, { query }: Place): void {
    context.main.append(heading(context, context.words.files), appChoice(context, '/files', query.get('app'), (_, chosen) => fileList(context, chosen?.id)));
}
