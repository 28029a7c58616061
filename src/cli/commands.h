// The commands of a flow binary.
#pragma once

#include "cli/command_line.h"
#include "cli/context.h"

namespace metaflow::cli {

Command check_command(Context& context);
Command show_command(Context& context);
Command output_dot_command(Context& context);
Command output_raw_command(Context& context);
Command version_command();
Command run_command(Context& context);
Command resume_command(Context& context);
Command debug_command(Context& context);
Command status_command(Context& context);
Command timeline_command(Context& context);
Command init_command(Context& context);
Command dump_command(Context& context);
Command logs_command(Context& context);
Command tag_command(Context& context);
Command runs_command(Context& context);
Command rm_command(Context& context);
Command gc_command(Context& context);
Command package_command(Context& context);

}  // namespace metaflow::cli
