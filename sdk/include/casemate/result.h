// SPDX-License-Identifier: Apache-2.0
// Result<T>, Error, ErrorCode, Bytes, ByteView, Secret and UniqueFd: every other header of the SDK speaks in these. They
// need the standard library only.
#pragma once

#include "base/vocabulary.h"
