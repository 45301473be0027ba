// SPDX-License-Identifier: Apache-2.0
// CodeMirror for JSON. It lives in a shadow root because there it uses constructed style sheets, which a policy against
// inline styles allows.
import {defaultKeymap, history, historyKeymap, indentWithTab} from '@codemirror/commands';
import {json} from '@codemirror/lang-json';
import {bracketMatching, defaultHighlightStyle, HighlightStyle, indentOnInput, syntaxHighlighting} from '@codemirror/language';
import {lintGutter, setDiagnostics, type Diagnostic} from '@codemirror/lint';
import {Compartment, EditorState} from '@codemirror/state';
import {EditorView, highlightActiveLine, keymap, lineNumbers} from '@codemirror/view';
import {tags} from '@lezer/highlight';
import {useEffect, useRef} from 'react';
import {useDark} from '../mode';

const darkHighlight = HighlightStyle.define([
  {tag: tags.propertyName, color: '#75cfff'},
  {tag: tags.string, color: '#ffb347'},
  {tag: [tags.number, tags.bool, tags.null], color: '#7ee787'},
]);
const lightHighlight = HighlightStyle.define([
  {tag: tags.propertyName, color: '#033160'},
  {tag: tags.string, color: '#8c2d04'},
  {tag: [tags.number, tags.bool, tags.null], color: '#116329'},
]);

function look(dark: boolean) {
  return [
    EditorView.theme({
      '&': {fontSize: '13px', backgroundColor: dark ? '#161d26' : '#ffffff', color: dark ? '#ebebf0' : '#0f141a'},
      '.cm-scroller': {fontFamily: "Monaco, Menlo, Consolas, 'DejaVu Sans Mono', monospace", maxHeight: '60vh', minHeight: '260px'},
      '.cm-gutters': {backgroundColor: dark ? '#1b232d' : '#f3f3f7', color: dark ? '#b4b4bb' : '#424650', border: 'none'},
      '.cm-activeLine': {backgroundColor: dark ? '#ffffff10' : '#00000008'},
      '.cm-cursor': {borderLeftColor: dark ? '#ffffff' : '#000000'},
      '&.cm-focused': {outline: '2px solid #006ce0', outlineOffset: '-2px'},
      '.cm-tooltip': {backgroundColor: dark ? '#232b37' : '#ffffff', color: dark ? '#ebebf0' : '#0f141a'},
    }, {dark}),
    syntaxHighlighting(dark ? darkHighlight : lightHighlight),
    syntaxHighlighting(defaultHighlightStyle, {fallback: true}),
  ];
}

export interface Mark {from: number; to: number; severity: 'error' | 'warning'; message: string}

export interface JsonEditorProps {
  value: string;
  onChange?: (value: string) => void;
  readOnly?: boolean;
  label: string;
  marks?: Mark[];
}

export default function JsonEditor({value, onChange, readOnly = false, label, marks = []}: JsonEditorProps) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const change = useRef(onChange);
  change.current = onChange;
  const appearance = useRef(new Compartment());
  const dark = useDark();

  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    const root = element.shadowRoot ?? element.attachShadow({mode: 'open'});
    const editor = new EditorView({
      root,
      parent: root as unknown as Element,
      state: EditorState.create({
        doc: value,
        extensions: [
          lineNumbers(), history(), indentOnInput(), bracketMatching(), highlightActiveLine(), json(), lintGutter(),
          // Tab leaves the editor as it leaves any field; Escape then Tab is for those who want it to indent.
          keymap.of([...defaultKeymap, ...historyKeymap, {...indentWithTab, key: 'Ctrl-]', run: indentWithTab.run, shift: undefined}]),
          EditorView.lineWrapping,
          EditorState.readOnly.of(readOnly),
          EditorView.contentAttributes.of({tabindex: '0', 'aria-label': label, ...(readOnly ? {'aria-readonly': 'true'} : {})}),
          appearance.current.of(look(dark)),
          EditorView.updateListener.of(update => {
            if (update.docChanged) change.current?.(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editor;
    return () => {
      editor.destroy();
      view.current = null;
    };
    // The editor owns its text from here on; the effects below bring in changes from outside.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [readOnly, label]);

  useEffect(() => {
    const editor = view.current;
    if (editor !== null && editor.state.doc.toString() !== value)
      editor.dispatch({changes: {from: 0, to: editor.state.doc.length, insert: value}});
  }, [value]);

  useEffect(() => {
    view.current?.dispatch({effects: appearance.current.reconfigure(look(dark))});
  }, [dark]);

  useEffect(() => {
    const editor = view.current;
    if (editor === null) return;
    const length = editor.state.doc.length;
    const diagnostics: Diagnostic[] = marks.map(mark => ({
      ...mark, from: Math.min(mark.from, length), to: Math.min(Math.max(mark.to, mark.from), length),
    }));
    editor.dispatch(setDiagnostics(editor.state, diagnostics));
  }, [marks]);

  return <div className="cm-editor-host" ref={host} data-testid="json-editor" />;
}
