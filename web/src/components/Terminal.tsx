// SPDX-License-Identifier: Apache-2.0
// The console of an enclave in a terminal. What an enclave writes is hostile: xterm draws it, nothing of it is markup,
// and sequences that would ask the terminal to answer or to act are dropped.
import {FitAddon} from '@xterm/addon-fit';
import {Terminal as Xterm} from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import {useEffect, useRef, useState} from 'react';
import {api} from '../api';
import {toFailure} from '../lib/failure';

const EVERY_MS = 700;
// Of one line, for readers of the screen.
const SPOKEN = 400;

// withStyleSheets runs `make` while style elements that it creates put their text into constructed style sheets: xterm
// writes its own styles, which a policy against inline styles would refuse.
function withStyleSheets(make: () => void): void {
  const create = document.createElement.bind(document);
  const patched = (name: string, options?: ElementCreationOptions) => {
    if (name !== 'style') return create(name, options);
    // Of another kind: the policy refuses even an empty style element once it is in the page.
    const element = create('template');
    const sheet = new CSSStyleSheet();
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    let text = '';
    Object.defineProperty(element, 'textContent', {
      get: () => text,
      set: (next: string) => {
        text = next;
        sheet.replaceSync(next);
      },
    });
    element.remove = () => {
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter(other => other !== sheet);
      Element.prototype.remove.call(element);
    };
    return element;
  };
  document.createElement = patched as typeof document.createElement;
  try {
    make();
  } finally {
    document.createElement = create;
  }
}

export default function Terminal({id}: {id: string}) {
  const host = useRef<HTMLDivElement>(null);
  const [problem, setProblem] = useState('');
  const [last, setLast] = useState('');
  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    const terminal = new Xterm({
      convertEol: true,
      disableStdin: true,
      scrollback: 10_000,
      fontSize: 13,
      theme: {background: '#0f141a', foreground: '#ebebf0'},
      linkHandler: {activate: () => undefined},
    });
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    withStyleSheets(() => terminal.open(element));
    for (const code of [0, 1, 2, 8, 52]) terminal.parser.registerOscHandler(code, () => true);
    terminal.textarea?.setAttribute('aria-label', 'Console of the enclave, read only');
    fit.fit();
    const observer = new ResizeObserver(() => fit.fit());
    observer.observe(element);
    const controller = new AbortController();
    let from = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const poll = async () => {
      try {
        const piece = await api.console(id, from, controller.signal);
        if (piece.lost > 0 && from > 0) terminal.write(`\r\n[${piece.lost} bytes of the console were lost]\r\n`);
        from = piece.next;
        if (piece.data !== '') {
          const bytes = Uint8Array.from(atob(piece.data), c => c.charCodeAt(0));
          terminal.write(bytes);
          const lines = new TextDecoder().decode(bytes.slice(-SPOKEN)).split('\n').filter(line => line.trim() !== '');
          setLast(lines[lines.length - 1] ?? '');
        }
        setProblem('');
      } catch (error) {
        if (controller.signal.aborted) return;
        const failure = toFailure(error);
        setProblem(failure.kind === 'notFound' ? 'The enclave has ended.' : failure.message);
        if (failure.kind === 'notFound' || failure.kind === 'denied') return;
      }
      timer = setTimeout(() => void poll(), EVERY_MS);
    };
    void poll();
    return () => {
      controller.abort();
      clearTimeout(timer);
      observer.disconnect();
      terminal.dispose();
    };
  }, [id]);
  return (
    <>
      <div className="cm-terminal" ref={host} data-testid="terminal" />
      <p role="status">{problem === '' ? `Last line: ${last}` : problem}</p>
    </>
  );
}
