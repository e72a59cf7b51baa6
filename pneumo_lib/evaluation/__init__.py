"""Phase 3: test-time augmentation, threshold sweep, removal rules, submission."""
