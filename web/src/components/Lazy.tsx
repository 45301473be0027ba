// SPDX-License-Identifier: Apache-2.0
import Box from '@cloudscape-design/components/box';
import Spinner from '@cloudscape-design/components/spinner';
import {lazy, Suspense, type ReactNode} from 'react';
import type {JsonEditorProps} from './JsonEditor';

const Editor = lazy(() => import('./JsonEditor'));
const Screen = lazy(() => import('./Terminal'));

export function Waiting({children}: {children: ReactNode}) {
  return <Suspense fallback={<Box textAlign="center" padding="l"><Spinner /> Loading</Box>}>{children}</Suspense>;
}

export function LazyJsonEditor(props: JsonEditorProps) {
  return <Waiting><Editor {...props} /></Waiting>;
}

export function LazyTerminal({id}: {id: string}) {
  return <Waiting><Screen id={id} /></Waiting>;
}
