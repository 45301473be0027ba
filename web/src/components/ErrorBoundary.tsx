// SPDX-License-Identifier: Apache-2.0
// What a page shows when it is itself at fault: the frame stays, and the way to try again.
import Alert from '@cloudscape-design/components/alert';
import Button from '@cloudscape-design/components/button';
import {Component, type ReactNode} from 'react';

export class ErrorBoundary extends Component<{children: ReactNode}, {problem: string | null}> {
  override state = {problem: null};

  static getDerivedStateFromError(error: unknown): {problem: string} {
    return {problem: error instanceof Error ? error.message : String(error)};
  }

  override render(): ReactNode {
    if (this.state.problem === null) return this.props.children;
    return (
      <Alert type="error" header="This page failed" action={<Button onClick={() => this.setState({problem: null})}>Show it again</Button>}>
        <span className="cm-break">{this.state.problem}</span>
      </Alert>
    );
  }
}
