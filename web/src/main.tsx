// SPDX-License-Identifier: Apache-2.0
import '@cloudscape-design/global-styles/index.css';
import './app.css';
import {StrictMode} from 'react';
import {createRoot} from 'react-dom/client';
import {I18nProvider} from '@cloudscape-design/components/i18n';
import messages from '@cloudscape-design/components/i18n/messages/all.en';
import {App} from './App';
import {startMode} from './mode';

// The content policy forbids turning text into markup. AWS's SDK reads STS's answers with DOMParser, which runs nothing: that
// one use is let through, and every other stays forbidden.
interface TrustedTypes {
  createPolicy(name: string, rules: {createHTML: (text: string, type: string, sink: string) => string | null}): unknown;
}
(window as {trustedTypes?: TrustedTypes}).trustedTypes?.createPolicy('default', {
  createHTML: (text, _type, sink) => sink === 'DOMParser parseFromString' ? text : null,
});

// The token leaves the address bar and the history before anything else runs.
function takeToken(): string | null {
  const match = /^#token=([A-Za-z0-9_-]{1,128})$/.exec(location.hash);
  if (match === null) return null;
  history.replaceState(null, '', location.pathname);
  return match[1] ?? null;
}

const token = takeToken();
startMode();
const root = document.getElementById('root');
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <I18nProvider locale="en" messages={[messages]}>
        <App token={token} />
      </I18nProvider>
    </StrictMode>,
  );
}
