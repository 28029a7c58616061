// The project of a flow: flows and runs that belong together, apart for each user, each branch and production.
#pragma once

#include <string>

namespace metaflow::graph {

/// The name of the branch that a run belongs to, by Metaflow's rules: "user.me", "test.B", "prod", "prod.B". `given`:
/// of the option --branch; empty: none. Throws Error{invalid_command}.
std::string project_branch(const std::string& given, bool production, const std::string& user);

/// What a branch is, by its name.
bool is_user_branch(const std::string& branch);
bool is_production_branch(const std::string& branch);

}  // namespace metaflow::graph
