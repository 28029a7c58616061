// Metaflow for C++: everything that a flow includes.
#pragma once

#if __cplusplus < 202002L
#include <metaflow/detail/language.h>
#endif

#include <metaflow/array.h>
#include <metaflow/artifact.h>
#include <metaflow/caught.h>
#include <metaflow/codec.h>
#include <metaflow/current.h>
#include <metaflow/decorators.h>
#include <metaflow/error.h>
#include <metaflow/flow.h>
#include <metaflow/inputs.h>
#include <metaflow/parallel.h>
#include <metaflow/parameter.h>
#include <metaflow/version.h>
