# An overlay port that takes the library from the system.
set(VCPKG_POLICY_EMPTY_PACKAGE enabled)
