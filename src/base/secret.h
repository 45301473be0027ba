// SPDX-License-Identifier: Apache-2.0
// Secret: key material and plaintext. Move-only, zeroed on destruction, not formattable, compared in constant time.
#pragma once

#include "base/bytes.h"
#include "base/vocabulary.h"
