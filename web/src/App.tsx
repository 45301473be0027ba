// SPDX-License-Identifier: Apache-2.0
// The frame around every page: top bar, navigation, notices, the walkthrough beside.
import AppLayout from '@cloudscape-design/components/app-layout';
import BreadcrumbGroup, {type BreadcrumbGroupProps} from '@cloudscape-design/components/breadcrumb-group';
import Flashbar, {type FlashbarProps} from '@cloudscape-design/components/flashbar';
import SideNavigation from '@cloudscape-design/components/side-navigation';
import TopNavigation from '@cloudscape-design/components/top-navigation';
import {lazy, useEffect, useMemo, useState, type ReactNode} from 'react';
import {ErrorBoundary} from './components/ErrorBoundary';
import {Waiting} from './components/Lazy';
import {toggleMode, useDark} from './mode';
import {NoticeContext, type Notice} from './notices';
import {SignIn} from './pages/SignIn';
import {navigate, useRoute, type Route} from './router';
import {signOut, useSessionState, type Session} from './session';

const Keys = lazy(() => import('./pages/Keys'));
const CreateKey = lazy(() => import('./pages/CreateKey'));
const KeyDetails = lazy(() => import('./pages/KeyDetails'));
const Enclaves = lazy(() => import('./pages/Enclaves'));
const EnclaveDetails = lazy(() => import('./pages/EnclaveDetails'));
const Inspector = lazy(() => import('./pages/Inspector'));
const Activity = lazy(() => import('./pages/Activity'));
const EventDetails = lazy(() => import('./pages/EventDetails'));
const Walkthrough = lazy(() => import('./components/Walkthrough'));

const SECTIONS: Record<Route['page'], {text: string; path: string}> = {
  keys: {text: 'Customer managed keys', path: 'keys'},
  createKey: {text: 'Create key', path: 'keys'},
  key: {text: 'Key', path: 'keys'},
  enclaves: {text: 'Enclaves', path: 'enclaves'},
  enclave: {text: 'Enclave', path: 'enclaves'},
  inspector: {text: 'Attestation inspector', path: 'inspector'},
  activity: {text: 'Activity', path: 'activity'},
  event: {text: 'Event', path: 'activity'},
  unknown: {text: 'Not found', path: 'keys'},
};
const PARENTS: Record<string, string> = {keys: 'Customer managed keys', enclaves: 'Enclaves', activity: 'Activity'};

function page(route: Route): ReactNode {
  switch (route.page) {
    case 'keys': return <Keys />;
    case 'createKey': return <CreateKey />;
    case 'key': return <KeyDetails key={route.id} id={route.id} />;
    case 'enclaves': return <Enclaves />;
    case 'enclave': return <EnclaveDetails key={route.id} id={route.id} />;
    case 'inspector': return <Inspector />;
    case 'activity': return <Activity />;
    case 'event': return <EventDetails key={route.id} id={route.id} />;
    case 'unknown': return <h1>There is no such page</h1>;
  }
}

function crumbs(route: Route): BreadcrumbGroupProps.Item[] {
  const section = SECTIONS[route.page];
  const items = [{text: 'casemate', href: '#/keys'}];
  const parent = PARENTS[section.path];
  if (parent !== undefined && parent !== section.text) items.push({text: parent, href: `#/${section.path}`});
  items.push({text: section.text, href: location.hash});
  return items;
}

// Long enough to be read after the page that follows a change has opened.
const NOTICE_KEPT_MS = 5000;

// The bar of narrow pages is a <nav> to which Cloudscape gives an attribute that ARIA does not allow there.
function useAllowedAttributes(): void {
  useEffect(() => {
    const clean = () => document.querySelector('nav[aria-orientation]')?.removeAttribute('aria-orientation');
    clean();
    const observer = new MutationObserver(clean);
    observer.observe(document.body, {childList: true, subtree: true});
    return () => observer.disconnect();
  }, []);
}

function TopBar({session, walk}: {session: Session | null; walk?: () => void}) {
  const dark = useDark();
  const mode = {
    type: 'button' as const,
    iconName: 'settings' as const,
    text: dark ? 'Light mode' : 'Dark mode',
    onClick: toggleMode,
  };
  return (
    <header className="cm-header">
      <TopNavigation
        identity={{href: '#/keys', title: 'casemate'}}
        utilities={session === null ? [mode] : [
          {type: 'button', iconName: 'check', text: 'Walkthrough', onClick: walk ?? (() => undefined)},
          mode,
          {
            type: 'menu-dropdown',
            iconName: 'user-profile',
            text: session.arn.split('/').pop() ?? session.arn,
            description: session.arn,
            items: [
              {id: 'account', text: `Account ${session.account}`, disabled: true},
              {id: 'region', text: `Region ${session.platform.region}`, disabled: true},
              {id: 'out', text: 'Sign out'},
            ],
            onItemClick: event => {
              if (event.detail.id === 'out') signOut('left');
            },
          },
        ]}
        i18nStrings={{overflowMenuTriggerText: 'More', overflowMenuTitleText: 'All', overflowMenuBackIconAriaLabel: 'Back',
          overflowMenuDismissIconAriaLabel: 'Close'}}
      />
    </header>
  );
}

function Frame({session}: {session: Session}) {
  const route = useRoute();
  const [notices, setNotices] = useState<Notice[]>([]);
  const [walking, setWalking] = useState(false);
  const [navigating, setNavigating] = useState(() => matchMedia('(min-width: 1000px)').matches);
  const add = useMemo(() => (notice: Omit<Notice, 'id' | 'at'>) => {
    // The newest first: it is the one that a stack shows.
    setNotices(old => [{...notice, id: crypto.randomUUID(), at: Date.now()}, ...old.slice(0, 4)]);
  }, []);
  useAllowedAttributes();
  useEffect(() => {
    setNotices(old => old.filter(notice => Date.now() - notice.at < NOTICE_KEPT_MS));
  }, [route.page, route.id]);
  useEffect(() => {
    document.title = `${SECTIONS[route.page].text} · casemate`;
  }, [route.page]);
  const flashes: FlashbarProps.MessageDefinition[] = notices.map(notice => ({
    id: notice.id,
    type: notice.type,
    content: notice.text,
    dismissible: true,
    dismissLabel: 'Dismiss',
    onDismiss: () => setNotices(old => old.filter(other => other.id !== notice.id)),
  }));
  return (
    <NoticeContext.Provider value={add}>
      <a className="cm-skip" href="#main" onClick={event => {
        event.preventDefault();
        document.getElementById('main')?.focus();
      }}>Skip to the content</a>
      <TopBar session={session} walk={() => setWalking(old => !old)} />
      <AppLayout
        headerSelector=".cm-header"
        navigationOpen={navigating}
        onNavigationChange={event => setNavigating(event.detail.open)}
        navigationWidth={240}
        navigation={
          <SideNavigation
            activeHref={`#/${SECTIONS[route.page].path}`}
            header={{text: 'Key Management Service', href: '#/keys'}}
            items={[
              {type: 'link', text: 'Customer managed keys', href: '#/keys'},
              {type: 'divider'},
              {type: 'link', text: 'Enclaves', href: '#/enclaves'},
              {type: 'link', text: 'Attestation inspector', href: '#/inspector'},
              {type: 'link', text: 'Activity', href: '#/activity'},
            ]}
            onFollow={() => {
              if (!matchMedia('(min-width: 1000px)').matches) setNavigating(false);
            }}
          />
        }
        toolsOpen={walking}
        onToolsChange={event => setWalking(event.detail.open)}
        toolsWidth={380}
        tools={walking ? <Waiting><Walkthrough /></Waiting> : <div />}
        notifications={<Flashbar items={flashes} stackItems i18nStrings={{
          ariaLabel: 'Notices', notificationBarText: 'Notices', notificationBarAriaLabel: 'Show all notices', errorIconAriaLabel: 'Error',
          warningIconAriaLabel: 'Warning', successIconAriaLabel: 'Success', infoIconAriaLabel: 'Information',
          inProgressIconAriaLabel: 'In progress'}} />}
        breadcrumbs={<BreadcrumbGroup items={crumbs(route)} ariaLabel="Breadcrumbs" onFollow={event => {
          event.preventDefault();
          navigate(event.detail.href.replace(/^#\//, ''));
        }} />}
        content={<div id="main" tabIndex={-1}><ErrorBoundary key={`${route.page}/${route.id}`}><Waiting>{page(route)}</Waiting></ErrorBoundary></div>}
        ariaLabels={{navigation: 'Navigation', navigationClose: 'Close navigation', navigationToggle: 'Open navigation',
          notifications: 'Notices', tools: 'Walkthrough', toolsClose: 'Close the walkthrough', toolsToggle: 'Open the walkthrough'}}
      />
    </NoticeContext.Provider>
  );
}

export function App({token}: {token: string | null}) {
  const state = useSessionState();
  if (state.session !== null) return <Frame session={state.session} />;
  return (
    <>
      <TopBar session={null} />
      <SignIn token={token} reason={state.signedOut.reason} />
    </>
  );
}
