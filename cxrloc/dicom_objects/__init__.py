"""Results as standard DICOM objects: structured reports, presentation states, pictures, masks."""
