mod segmented_map;
